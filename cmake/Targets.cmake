# How this project makes targets: warnings on everywhere, an alias `backfire::NAME` per library, each
# header listed with its target.

add_library(backfire_warnings INTERFACE)
add_library(backfire::warnings ALIAS backfire_warnings)
target_compile_options(backfire_warnings INTERFACE -Wall -Wextra -Wpedantic -Wno-missing-field-initializers)

# What sanitizers add hides from GCC that a value was set: its manual warns of false warnings of that kind, and <regex> of GCC 12 has
# them wherever it is included. Builds without a sanitizer look at the same code, and at -O3.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_FLAGS MATCHES "-fsanitize=")
  target_compile_options(backfire_warnings INTERFACE -Wno-maybe-uninitialized)
endif()

option(BACKFIRE_WERROR "Treat warnings as errors" ON)
if(BACKFIRE_WERROR)
  target_compile_options(backfire_warnings INTERFACE -Werror)
endif()

# backfire_targets_below(OUT LINKED|HEADERS LIBRARY...): this project's targets that a program of the libraries is linked with,
# or those alone whose headers it sees; the libraries themselves included.
function(backfire_targets_below out what)
  set(properties INTERFACE_LINK_LIBRARIES)
  if(what STREQUAL "LINKED")
    list(APPEND properties LINK_LIBRARIES)
  endif()
  set(waiting ${ARGN})
  set(seen)
  while(waiting)
    list(POP_FRONT waiting target)
    if(what STREQUAL "LINKED")  # So is a library's private part named, whose headers nobody sees.
      string(REGEX REPLACE "^\\$<LINK_ONLY:(.*)>$" "\\1" target "${target}")
    endif()
    if(NOT TARGET "${target}")
      continue()
    endif()
    get_target_property(aliased ${target} ALIASED_TARGET)
    if(aliased)
      set(target ${aliased})
    endif()
    if(NOT target MATCHES "^backfire_" OR target IN_LIST seen)
      continue()
    endif()
    list(APPEND seen ${target})
    foreach(property ${properties})
      get_target_property(linked ${target} ${property})
      if(linked)
        list(APPEND waiting ${linked})
      endif()
    endforeach()
  endwhile()
  list(SORT seen)
  set(${out} ${seen} PARENT_SCOPE)
endfunction()

# Code that waits for others more than it computes (RPC, commands, reports, tests) is compiled at -O1, in two thirds of the
# time. A folder says so for all in it: set(BACKFIRE_WAITS ON).
function(backfire_optimise target)
  if(BACKFIRE_WAITS AND CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(${target} PRIVATE -O1)
  endif()
endfunction()

# A few sources are compiled as one, which reads headers and makes templates once. Off for tools that look at each source.
option(BACKFIRE_UNITY "Compile several sources of a target at once" ON)
function(backfire_unite target)
  if(BACKFIRE_UNITY)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 4)
    # GCC takes the sources that are included for headers, which should have no unnamed namespaces.
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
  endif()
endfunction()

# backfire_library(NAME HEADERS a.h SOURCES a.cc PUBLIC lib... PRIVATE lib...)
# Paths are relative to the calling folder; includes are written from the project's root.
function(backfire_library name)
  cmake_parse_arguments(ARG "" "" "HEADERS;SOURCES;PUBLIC;PRIVATE" ${ARGN})
  set(target backfire_${name})
  if(ARG_SOURCES)
    add_library(${target} STATIC)
    target_sources(${target} PRIVATE ${ARG_SOURCES}
                   PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${ARG_HEADERS})
    target_link_libraries(${target} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE} backfire::warnings)
    backfire_optimise(${target})
    backfire_unite(${target})
    backfire_precompile(${target} ${ARG_PUBLIC} ${ARG_PRIVATE})
  else()
    add_library(${target} INTERFACE)
    target_sources(${target} INTERFACE FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}
                   FILES ${ARG_HEADERS})
    target_link_libraries(${target} INTERFACE ${ARG_PUBLIC})
  endif()
  add_library(backfire::${name} ALIAS ${target})
endfunction()

# backfire_binary(NAME SOURCES main.cc LIBRARIES lib...): lands in build/bin/NAME.
function(backfire_binary name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_LIBRARIES} backfire::warnings)
  backfire_optimise(${name})
  backfire_unite(${name})
  backfire_precompile(${name} ${ARG_LIBRARIES})
endfunction()

# backfire_service(NAME SOURCES main.cc MODEL lib... [LIBRARIES lib...]): a model service on the runtime. What `MODEL`
# computes, and nothing else, makes the fingerprint of its versions.
function(backfire_service name)
  cmake_parse_arguments(ARG "" "" "SOURCES;MODEL;LIBRARIES" ${ARGN})
  backfire_binary(${name} SOURCES ${ARG_SOURCES} LIBRARIES ${ARG_MODEL} backfire::service_main ${ARG_LIBRARIES})
  backfire_fingerprint(${name} ${ARG_MODEL})
endfunction()

# Tests that don't link LibTorch, which takes no sanitizer: ./dev test --preset asan --without-libtorch.
add_custom_target(tests-without-libtorch)

# backfire_test(NAME SOURCES a_test.cc LIBRARIES lib... [LABEL unit|integration|e2e] [TIMEOUT seconds])
# One ctest entry per executable: starting a process that links LibTorch costs a second. Tests that link it have the label
# `libtorch` as well. A timeout ends what hangs, and is many times what the test takes: `./dev test` limits labels.
function(backfire_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT ARG_LABEL)
    set(ARG_LABEL unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_LIBRARIES} GTest::gmock GTest::gtest_main backfire::warnings)
  backfire_optimise(${name})
  backfire_unite(${name})
  backfire_precompile(${name} ${ARG_LIBRARIES})
  add_test(NAME ${ARG_LABEL}.${name} COMMAND ${name})
  backfire_targets_below(linked LINKED ${ARG_LIBRARIES})
  set(labels ${ARG_LABEL})
  if(backfire_torch IN_LIST linked)
    list(APPEND labels libtorch)
  else()
    add_dependencies(tests-without-libtorch ${name})
  endif()
  set_tests_properties(${ARG_LABEL}.${name} PROPERTIES LABELS "${labels}" TIMEOUT ${ARG_TIMEOUT})
endfunction()
