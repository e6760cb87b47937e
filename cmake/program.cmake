# The program as it is installed: with its manual pages and completions, which it writes itself, and
# the units of systemd. Component `program`. The Debian package and the tarball are made of it
# (tools/make-package). Included by CMakeLists.txt after cli/.
set(documents ${PROJECT_BINARY_DIR}/documents)
add_custom_command(OUTPUT ${documents}/stamp
  COMMAND ${CMAKE_COMMAND} -E make_directory ${documents}/man ${documents}/completions
  COMMAND linnet_cli manual --all ${documents}/man
  COMMAND linnet_cli completions bash > ${documents}/completions/linnet
  COMMAND linnet_cli completions zsh > ${documents}/completions/_linnet
  COMMAND linnet_cli completions fish > ${documents}/completions/linnet.fish
  COMMAND linnet_cli licences > ${documents}/third-party-notices.txt
  COMMAND ${CMAKE_COMMAND} -E touch ${documents}/stamp
  DEPENDS linnet_cli COMMENT "Writing manual pages and completions" VERBATIM)
add_custom_target(linnet_documents DEPENDS ${documents}/stamp)

install(TARGETS linnet_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
# Absent if only the program was built.
install(DIRECTORY ${documents}/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT program
  OPTIONAL FILES_MATCHING PATTERN "*.1")
install(FILES ${documents}/completions/linnet COMPONENT program OPTIONAL
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
# Where Debian's zsh looks for the completions of packages, and every zsh for those of an administrator.
set(zsh_folder site-functions)
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  set(zsh_folder vendor-completions)
endif()
install(FILES ${documents}/completions/_linnet COMPONENT program OPTIONAL
  DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/${zsh_folder})
install(FILES ${documents}/completions/linnet.fish COMPONENT program OPTIONAL
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES ${documents}/third-party-notices.txt COMPONENT program OPTIONAL
  DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES LICENSE COMPONENT program DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)
install(FILES README.md README.zh.md CHANGELOG.md SECURITY.md COMPONENT program
  DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs COMPONENT program DESTINATION ${CMAKE_INSTALL_DOCDIR})
# The prefix is known only now: /usr has its settings in /etc, every other prefix below itself. The
# settings of an earlier installation stay.
install(CODE [[
  set(BIN "${CMAKE_INSTALL_PREFIX}/bin")
  set(ETC "${CMAKE_INSTALL_PREFIX}/etc")
  if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
    set(ETC /etc)
  endif()
  set(units "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/lib/systemd/system")]]
  COMPONENT program)
install(CODE "set(packaging \"${PROJECT_SOURCE_DIR}/packaging\")" COMPONENT program)
install(CODE [[
  configure_file("${packaging}/linnet.service.in" "${units}/linnet.service" @ONLY)
  configure_file("${packaging}/linnet.socket" "${units}/linnet.socket" COPYONLY)
  if(NOT EXISTS "$ENV{DESTDIR}${ETC}/linnet/serve.toml")
    configure_file("${packaging}/serve.toml" "$ENV{DESTDIR}${ETC}/linnet/serve.toml" COPYONLY)
  endif()]]
  COMPONENT program)

# For the tarball: the libraries are found beside it, also those that they need themselves.
add_executable(linnet_portable EXCLUDE_FROM_ALL cli/main.cc)
target_link_libraries(linnet_portable PRIVATE linnet_variant linnet_command)
target_link_options(linnet_portable PRIVATE LINKER:--disable-new-dtags)
set_target_properties(linnet_portable PROPERTIES OUTPUT_NAME linnet
  RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/portable
  BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "$ORIGIN/../lib/linnet")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME linnet)
set(CPACK_PACKAGE_CONTACT "The authors of Linnet <authors@linnet.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "runs, trains and serves RWKV language models on CPUs")
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_SET_DESTDIR ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL program)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME linnet)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SECTION science)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_DEPENDS ca-certificates)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_CONTROL_EXTRA
  "${PROJECT_SOURCE_DIR}/packaging/conffiles;${PROJECT_SOURCE_DIR}/packaging/postinst"
  "${PROJECT_SOURCE_DIR}/packaging/prerm;${PROJECT_SOURCE_DIR}/packaging/postrm")
include(CPack)
