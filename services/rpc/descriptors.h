#pragma once

#include <cstdint>

namespace backfire::runtime {

/// Raises the soft limit on open descriptors to the hard one, or to 65,536 where that is more.
/// Returns the limit that holds now.
int64_t RaiseDescriptorLimit();

/// The highest descriptor that a connection to a server may have, of a process whose limit is
/// `limit`: what is above is for files, and for the process's own connections.
int64_t HighestConnection(int64_t limit);

}  // namespace backfire::runtime
