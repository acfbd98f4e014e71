#pragma once

namespace backfire::learning {

/// Makes the C library keep freed memory for the next allocation instead of giving it back to the
/// system: a training step frees and takes the same hundreds of megabytes every time, and the page
/// faults of doing so cost up to a third of a convolution's time. For the whole process; calling it
/// again changes nothing.
void KeepFreedMemory();

}  // namespace backfire::learning
