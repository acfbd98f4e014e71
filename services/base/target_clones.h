#pragma once

#include <cstddef>  // __GLIBC__, where it is that.

/// Put before a function: the compiler makes one version of it for each of the targets, and the
/// loader takes the best that the processor has. All give the same bits, as the build forbids
/// contracting a multiplication and an addition. One version alone is made where the loader could
/// not choose: for sanitizers, which are not up when it does.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) &&                       \
    !defined(BACKFIRE_THREAD_SANITIZER)
#define BACKFIRE_TARGET_CLONES(...) __attribute__((target_clones(__VA_ARGS__)))
#else
#define BACKFIRE_TARGET_CLONES(...)
#endif

/// For loops that gain from wide vectors.
#define BACKFIRE_VECTOR_TARGETS \
  BACKFIRE_TARGET_CLONES("arch=x86-64-v4", "arch=x86-64-v3", "default")
