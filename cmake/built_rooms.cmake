# The rooms and the commands as another build folder has built them: for the wheel, where the program
# was built from the same sources. From the top, each links those below.
set(rooms command talk search server train eval download http engine grammar text models io ops kernels tensor base)
set(below hwy::hwy fmt::fmt nlohmann_json::nlohmann_json ZLIB::ZLIB OpenSSL::SSL
  PkgConfig::utf8proc PkgConfig::pcre2 yaml-cpp PkgConfig::prometheus PkgConfig::curl
  PkgConfig::sqlite3 PkgConfig::zstd Threads::Threads)
list(REVERSE rooms)
foreach(room IN LISTS rooms)
  set(folder src)
  if(room MATCHES "command|talk")
    set(folder cli)
  endif()
  add_library(linnet_${room} STATIC IMPORTED GLOBAL)
  set_target_properties(linnet_${room} PROPERTIES IMPORTED_NO_SYSTEM ON
    IMPORTED_LOCATION ${LINNET_ROOMS_FROM}/${folder}/liblinnet_${room}.a
    INTERFACE_INCLUDE_DIRECTORIES "${PROJECT_SOURCE_DIR}/include;${PROJECT_SOURCE_DIR}/src"
    INTERFACE_LINK_LIBRARIES "${below}")
  set(below linnet_${room})
endforeach()
