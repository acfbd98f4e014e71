# Writes BASE.cc, a source with the digest of the files that BASE.files lists and of BASE.facts:
#   cmake -DBASE=build/fingerprints/car-service -DCOMPILER=c++ -DCOMPILER_ID=GNU -P write_fingerprint.cmake
# GCC takes the comments out; where another compiler builds, comments count.
file(STRINGS ${BASE}.files files)
if(COMPILER_ID STREQUAL "GNU")
  execute_process(COMMAND ${COMPILER} -E -P -w -fpreprocessed -dD -x c++ ${files}
                  OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
  string(SHA256 digest "${text}")
else()
  set(digest)
  foreach(file ${files})
    file(SHA256 ${file} of_file)
    string(APPEND digest "${of_file}\n")
  endforeach()
endif()
file(READ ${BASE}.facts facts)
string(SHA256 digest "${facts}${digest}")
file(CONFIGURE OUTPUT ${BASE}.cc @ONLY CONTENT [[
// Made by cmake/write_fingerprint.cmake.
namespace backfire::runtime {
extern const char kComputationDigest[];
const char kComputationDigest[] = "@digest@";
}  // namespace backfire::runtime
]])
