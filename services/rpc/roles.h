#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace backfire::runtime {

/// What an identity may do, beyond which method it may call.
enum class Role : uint8_t {
  kClient,        ///< Infers at a gateway.
  kModel,         ///< A model service: fetches outputs of its parents, and versions that it copies.
  kGateway,       ///< Infers at model services, and follows releases.
  kViewer,        ///< Reads.
  kGate,          ///< Proposes updates, and cancels and retries its own: a CI job.
  kOrchestrator,  ///< Alone trains, evaluates, loads and deletes at model services.
  kOperator,      ///< Promotes, rolls back, overrides, deletes: a person.
};

/// Some roles. A value.
class Roles {
 public:
  constexpr Roles() = default;
  constexpr Roles(std::initializer_list<Role> roles) {  // NOLINT: {kViewer, kGate} is one.
    for (const Role role : roles) bits_ |= 1u << static_cast<int>(role);
  }
  static constexpr Roles All() {
    return {Role::kClient, Role::kModel,        Role::kGateway, Role::kViewer,
            Role::kGate,   Role::kOrchestrator, Role::kOperator};
  }
  constexpr bool Has(Role role) const { return (bits_ & (1u << static_cast<int>(role))) != 0; }
  constexpr bool Overlap(Roles other) const { return (bits_ & other.bits_) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr Roles operator|(Roles other) const {
    other.bits_ |= bits_;
    return other;
  }
  constexpr bool operator==(Roles other) const { return bits_ == other.bits_; }
  /// `viewer, gate`, in the order of Role; `all` of all; empty of none.
  std::string ToString() const;

 private:
  uint32_t bits_ = 0;
};

/// The role of `gateway` and the like. nullopt: there is none.
std::optional<Role> ParseRole(std::string_view name);

/// Which kind of server a method is called at: ModelInfer is another thing at a gateway than at the
/// service of one vertex.
enum class Surface { kGateway, kModelService, kOrchestrator };

/// Who may call one method at one kind of server.
struct MethodRule {
  std::string_view method;  ///< `/backfire.v1.Orchestrator/GetUpdate`.
  Roles roles;
  /// Whether nobody in particular may call it as well, where identities are not required of all.
  bool anyone = false;
  bool changes = false;  ///< Whether it changes something: such calls are audited.
};

/// Every method that is served at a surface. What isn't in it is denied to everybody.
const std::vector<MethodRule>& MethodTable(Surface surface);

/// The rule of a method; null: denied.
const MethodRule* FindRule(Surface surface, std::string_view method);

}  // namespace backfire::runtime
