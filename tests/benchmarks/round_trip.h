#pragma once

#include <string>

namespace backfire::benchmarks {

/// Serves, until it is killed, at `{prefix}.grpc` the Open Inference Protocol with a model `echo`
/// (input `x`, output `y`, UINT8 [-1]) and at `{prefix}.plain` a socket that sends back what it is
/// sent: 8 bytes of length, then as many bytes.
int ServeEcho(const std::string& prefix);

/// Compares round trips of tensors through the former with copying as many bytes there and back
/// through the latter, on unix sockets, and prints a table. False: it could not.
bool CompareRoundTrips(const std::string& program, int repetitions);

}  // namespace backfire::benchmarks
