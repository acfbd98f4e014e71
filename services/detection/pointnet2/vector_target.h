#pragma once

/// Put before a function whose loops gain from wide vectors: the compiler makes one version for
/// each instruction set, and the machine's best runs. All give the same bits, since the build
/// forbids contracting a multiplication and an addition. ThreadSanitizer cannot start a program
/// that chooses functions while it is being loaded.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define BACKFIRE_VECTOR_TARGETS \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define BACKFIRE_VECTOR_TARGETS
#endif
