# The fingerprint of what a model service computes with: its model library's sources and headers, and those of every
# library of this project below it, without their comments; the compiler and its flags; libraries that are headers alone.
# Versions are named by it, so what computes nothing (the runtime, mains, contracts, comments) must not change it.
# Shared libraries are recognised when the service runs: services/runtime/build_fingerprint.h.

# Libraries of contracts and messages: they carry numbers, and compute none.
set(backfire_computes_nothing backfire_warnings backfire_messages backfire_protos backfire_planar_messages backfire_torch)

# backfire_fingerprint(SERVICE LIBRARY...): compiles into SERVICE the fingerprint of what the libraries compute.
function(backfire_fingerprint service)
  set(facts "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} C++${CMAKE_CXX_STANDARD}")
  string(TOUPPER "${CMAKE_BUILD_TYPE}" configuration)
  string(APPEND facts "\n${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${configuration}}")
  string(APPEND facts "\nEigen ${Eigen3_VERSION} nanoflann ${nanoflann_VERSION} Boost ${Boost_VERSION_STRING}")
  set(files)
  backfire_targets_below(libraries LINKED ${ARGN})
  list(REMOVE_ITEM libraries ${backfire_computes_nothing})
  foreach(library ${libraries})
    get_target_property(directory ${library} SOURCE_DIR)
    foreach(property COMPILE_OPTIONS COMPILE_DEFINITIONS)
      get_target_property(value ${library} ${property})
      if(value)
        string(APPEND facts "\n${library} ${value}")
      endif()
    endforeach()
    get_target_property(headers ${library} HEADER_SET)
    get_target_property(sources ${library} SOURCES)
    foreach(file ${sources} ${headers})
      if(NOT file MATCHES "\\.(h|cc)$")
        continue()
      endif()
      get_source_file_property(options ${file} TARGET_DIRECTORY ${library} COMPILE_OPTIONS)
      cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY ${directory} NORMALIZE)
      list(APPEND files ${file})
      if(options)
        cmake_path(RELATIVE_PATH file BASE_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE relative)
        string(APPEND facts "\n${relative} ${options}")
      endif()
    endforeach()
  endforeach()
  list(SORT files)
  list(REMOVE_DUPLICATES files)
  # Warnings and debug information change no number.
  string(REGEX REPLACE "(^|[ ;\n])-(W|g)[^ ;\n]*" "\\1" facts "${facts}")

  set(base ${CMAKE_BINARY_DIR}/fingerprints/${service})
  list(JOIN files "\n" lines)
  file(CONFIGURE OUTPUT ${base}.files CONTENT "${lines}\n" @ONLY)
  file(CONFIGURE OUTPUT ${base}.facts CONTENT "${facts}\n" @ONLY)
  add_custom_command(
    OUTPUT ${base}.cc
    COMMAND ${CMAKE_COMMAND} -DBASE=${base} -DCOMPILER=${CMAKE_CXX_COMPILER} -DCOMPILER_ID=${CMAKE_CXX_COMPILER_ID}
            -P ${PROJECT_SOURCE_DIR}/cmake/write_fingerprint.cmake
    DEPENDS ${files} ${base}.files ${base}.facts ${PROJECT_SOURCE_DIR}/cmake/write_fingerprint.cmake
    COMMENT "Fingerprint of what ${service} computes" VERBATIM)
  target_sources(${service} PRIVATE ${base}.cc)
  set_source_files_properties(${base}.cc PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
  add_custom_target(${service}-fingerprint DEPENDS ${base}.cc)
  add_dependencies(fingerprints ${service}-fingerprint)
endfunction()

# All fingerprints, and nothing compiled.
add_custom_target(fingerprints)
