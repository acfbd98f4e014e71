# The gate by itself: `cmake --install build --component gate`, and a .deb: `cpack --config build/CPackConfig.cmake`.
# Installing it takes no other target.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)
include(GNUInstallDirs)
install(TARGETS backfire-gate RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT gate)
install(FILES services/python/backfire_records.py DESTINATION share/backfire/python COMPONENT gate)
install(FILES protos/backfire/v1/gate.proto docs/gate.md DESTINATION share/backfire/gate COMPONENT gate)
install(PROGRAMS deploy/ci/comment deploy/ci/run-gate DESTINATION share/backfire/ci COMPONENT gate)

set(CPACK_GENERATOR DEB)
set(CPACK_COMPONENTS_ALL gate)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_PACKAGE_NAME backfire)
set(CPACK_DEBIAN_GATE_PACKAGE_NAME backfire-gate)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_PACKAGE_CONTACT "The Backfire authors <backfire@localhost>")
set(CPACK_COMPONENT_GATE_DESCRIPTION "Judges evaluation records of before and after a change
 A gate for CI: says from files whether a change of one model makes the system worse that it is part of.")
set(CPACK_DEBIAN_PACKAGE_SECTION devel)
# Which Debian packages have the libraries that it links.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# Which tells others of a verdict, where a policy says whom.
set(CPACK_DEBIAN_GATE_PACKAGE_SUGGESTS curl)
set(CPACK_STRIP_FILES ON)
# /usr is where Debian has it; a prefix given to --install is another matter.
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
include(CPack)
