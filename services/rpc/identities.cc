#include "services/rpc/identities.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/server_context.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "services/base/digest.h"
#include "services/base/status.h"
#include "services/rpc/token.h"

namespace backfire::runtime {
namespace {

constexpr char kSpiffe[] = "spiffe://backfire/";

std::string TextOf(grpc::string_ref text) { return {text.data(), text.size()}; }

/// Adds a line. Not empty: what is wrong with it.
std::string AddLine(const std::vector<std::string>& words, IdentityTable& table) {
  if (words.size() != 3) return "must be: ROLE NAME sha256:HEX, or ROLE NAME san:TEXT";
  const std::optional<Role> role = ParseRole(words[0]);
  if (!role.has_value()) {
    return absl::StrCat("there is no role \"", words[0], "\"; there are client, model, gateway, ",
                        "viewer, gate, orchestrator and operator");
  }
  std::map<std::string, Caller>* known = nullptr;
  std::string key;
  if (absl::StartsWith(words[2], "san:") && words[2].size() > 4) {
    known = &table.by_alternative_name;
    key = words[2].substr(4);
  } else if (absl::StartsWith(words[2], "sha256:") && words[2].size() == 7 + 64 &&
             words[2].find_first_not_of("0123456789abcdef", 7) == std::string::npos) {
    known = &table.by_token_digest;
    key = words[2].substr(7);
  } else {
    return "the third word must be sha256: and 64 lower-case hexadecimal digits, or san:TEXT";
  }
  Caller& caller = (*known)[key];
  if (!caller.name.empty() && caller.name != words[1]) {
    return absl::StrCat("is known as \"", caller.name, "\" already");
  }
  caller.name = words[1];
  caller.roles = caller.roles | Roles{*role};
  return "";
}

}  // namespace

absl::StatusOr<IdentityTable> ParseIdentities(const std::string& text) {
  IdentityTable table;
  std::vector<std::string> faults;
  int number = 0;
  for (const auto& whole : absl::StrSplit(text, '\n')) {
    ++number;
    const std::string line(whole.substr(0, whole.find('#')));
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.empty()) continue;
    const std::string fault = AddLine(words, table);
    if (!fault.empty()) faults.push_back(absl::StrCat("line ", number, ": ", fault));
  }
  if (!faults.empty()) return absl::InvalidArgumentError(absl::StrJoin(faults, "\n"));
  return table;
}

Caller CallerOfSpiffeId(std::string_view alternative_name) {
  const std::string text(alternative_name);
  if (!absl::StartsWith(text, kSpiffe)) return {};
  const std::string path = text.substr(sizeof(kSpiffe) - 1);
  const size_t slash = path.find('/');
  if (slash == std::string::npos || slash + 1 == path.size()) return {};
  const std::optional<Role> role = ParseRole(path.substr(0, slash));
  if (!role.has_value()) return {};
  return {path.substr(slash + 1), {*role}};
}

absl::StatusOr<std::unique_ptr<Identities>> Identities::Open(const SecurityOptions& options) {
  auto identities = std::make_unique<Identities>();
  identities->strict_ = !options.identities_file.empty() || options.tls();
  if (!options.identities_file.empty()) {
    BACKFIRE_ASSIGN_OR_RETURN(
        identities->table_,
        ReloadedFile<IdentityTable>::Open(options.identities_file, false, ParseIdentities));
  } else if (!options.token_file.empty()) {
    // Compared by digests: the time that it takes says nothing of the token.
    BACKFIRE_ASSIGN_OR_RETURN(
        identities->token_digest_,
        ReloadedFile<std::string>::Open(
            options.token_file, true, [](const std::string& text) -> absl::StatusOr<std::string> {
              BACKFIRE_ASSIGN_OR_RETURN(const std::string token, ParseToken(text));
              return Sha256Hex(token);
            }));
  }
  return identities;
}

absl::StatusOr<Caller> Identities::Identify(
    std::string_view authorization, const std::vector<std::string>& alternative_names) const {
  Caller caller;
  for (const std::string& name : alternative_names) {
    Caller one;
    if (table_ != nullptr) {
      const auto table = table_->Get();
      const auto found = table->by_alternative_name.find(name);
      if (found != table->by_alternative_name.end()) one = found->second;
    } else {
      one = CallerOfSpiffeId(name);
    }
    if (one.roles.empty()) continue;
    if (caller.name.empty()) caller.name = one.name;
    caller.roles = caller.roles | one.roles;
  }
  if (!caller.roles.empty() || authorization.empty()) return caller;
  const std::string digest = Sha256Hex(TokenOf(authorization));
  if (table_ != nullptr) {
    const auto table = table_->Get();
    const auto found = table->by_token_digest.find(digest);
    if (found != table->by_token_digest.end()) return found->second;
  } else if (token_digest_ != nullptr && digest == *token_digest_->Get()) {
    return Caller{"", Roles::All()};
  }
  return absl::UnauthenticatedError("the token is nobody's here: is it another mesh's?");
}

Caller Identities::CallerOf(const grpc::ServerContextBase& context) const {
  std::string authorization;
  const auto found = context.client_metadata().find(kAuthorization);
  if (found != context.client_metadata().end()) authorization = TextOf(found->second);
  std::vector<std::string> names;
  if (const auto auth = context.auth_context(); auth != nullptr && auth->IsPeerAuthenticated()) {
    for (const auto& name : auth->FindPropertyValues(GRPC_X509_SAN_PROPERTY_NAME)) {
      names.push_back(TextOf(name));
    }
  }
  return Identify(authorization, names).value_or(Caller());
}

}  // namespace backfire::runtime
