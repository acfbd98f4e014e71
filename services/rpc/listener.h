#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"

namespace backfire::runtime {

/// Accepts connections at an address, on a thread of its own, for as long as it lives. gRPC's own
/// loop ends for good at the first accept that fails, as it does once no descriptor is left; this
/// one goes on. A connection whose descriptor would be above `highest` is closed at once: the
/// kernel gives the lowest number that is free, so all below are in use. Thread-safe.
class Listener {
 public:
  /// Takes a connection: the descriptor that listens, and the new one, which it owns from now on.
  using Take = std::function<void(int listener, int connection)>;

  /// Binds and listens; connections wait in the kernel until Accept.
  /// @param address  `HOST:PORT`, whose port 0 is any free one, or `unix:PATH`, whose file is made.
  /// INVALID_ARGUMENT: malformed. ALREADY_EXISTS: in use, or the host is not this machine's.
  static absl::StatusOr<std::unique_ptr<Listener>> Bind(const std::string& address,
                                                        int64_t highest);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /// Begins to accept. Once.
  void Accept(Take take);
  /// Ends to accept: those who come from now on are refused by the kernel.
  void Stop();

  /// The address, with the port that was chosen.
  const std::string& address() const { return address_; }
  /// Connections that were taken, and that were closed at once, since the start.
  int64_t accepted() const { return accepted_; }
  int64_t refused() const { return refused_; }

 private:
  Listener(std::string address, int64_t highest)
      : address_(std::move(address)), highest_(highest) {}
  absl::Status BindUnix(const std::string& path);
  absl::Status BindTcp(const std::string& host, int port);
  void Run();
  void AcceptAll(int descriptor);

  std::string address_;
  const int64_t highest_;
  std::string socket_file_;
  std::vector<int> descriptors_;
  int spare_ = -1;  ///< Given up for a moment to close a connection that no descriptor is left for.
  int stop_ = -1;   ///< An eventfd.
  Take take_;
  std::thread thread_;
  std::atomic<int64_t> accepted_ = 0;
  std::atomic<int64_t> refused_ = 0;
};

}  // namespace backfire::runtime
