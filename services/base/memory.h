#pragma once

#include <cstdint>

namespace backfire {

/// Bytes of memory that this process may take: of the machine, or of its control group if that has
/// less.
int64_t MemoryLimit();

/// Makes the C library keep freed memory for the next allocation, whichever thread asks for it,
/// instead of giving it back to the system or to that thread alone: a request or a training step
/// frees and takes the same hundreds of megabytes every time, and the page faults of doing so cost
/// up to a third of a convolution's time and half of a large message's. For the whole process;
/// belongs at the start of its main, as memory is shared from then on.
void KeepFreedMemory();

}  // namespace backfire
