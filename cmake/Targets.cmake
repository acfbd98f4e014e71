# How this project makes targets: warnings on everywhere, an alias `backfire::NAME` per library, each
# header listed with its target.

add_library(backfire_warnings INTERFACE)
add_library(backfire::warnings ALIAS backfire_warnings)
target_compile_options(backfire_warnings INTERFACE -Wall -Wextra -Wpedantic -Wno-missing-field-initializers)

option(BACKFIRE_WERROR "Treat warnings as errors" ON)
if(BACKFIRE_WERROR)
  target_compile_options(backfire_warnings INTERFACE -Werror)
endif()

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
endfunction()

# backfire_test(NAME SOURCES a_test.cc LIBRARIES lib... [LABEL unit|integration|e2e] [TIMEOUT seconds])
# One ctest entry per executable: starting a process that links LibTorch costs a second.
function(backfire_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT ARG_LABEL)
    set(ARG_LABEL unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_LIBRARIES} GTest::gmock GTest::gtest_main backfire::warnings)
  # What is tested is as fast as ever; tests themselves compile a quarter sooner.
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  add_test(NAME ${ARG_LABEL}.${name} COMMAND ${name})
  set_tests_properties(${ARG_LABEL}.${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT})
endfunction()
