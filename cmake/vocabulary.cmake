# Embeds the World vocabulary in linnet_text: LINNET_VOCAB, or the file of tools/fetch-vocabulary.
# Without either the build continues, and the program says at run time what is missing. Included by
# src/CMakeLists.txt after the room.
set(LINNET_VOCAB "" CACHE FILEPATH "rwkv_vocab_v20230424.txt, to be built in")
set(vocabulary ${LINNET_VOCAB})
if(NOT vocabulary)
  foreach(folder ${PROJECT_BINARY_DIR} ${PROJECT_SOURCE_DIR}/build)
    if(NOT vocabulary AND EXISTS ${folder}/vocabulary/rwkv_vocab_v20230424.txt)
      set(vocabulary ${folder}/vocabulary/rwkv_vocab_v20230424.txt)
    endif()
  endforeach()
endif()
get_filename_component(vocabulary "${vocabulary}" ABSOLUTE BASE_DIR ${PROJECT_SOURCE_DIR})
if(LINNET_VOCAB AND NOT EXISTS ${vocabulary})
  message(FATAL_ERROR "LINNET_VOCAB: no file ${vocabulary}")
endif()
find_program(GZIP gzip)
mark_as_advanced(GZIP)

if(EXISTS ${vocabulary} AND NOT IS_DIRECTORY ${vocabulary} AND GZIP)
  set(gz ${CMAKE_CURRENT_BINARY_DIR}/vocabulary.gz)
  # The bytes depend only on the content: no name, no time.
  add_custom_command(OUTPUT ${gz} COMMAND ${GZIP} -9 -n -c ${vocabulary} > ${gz}
    DEPENDS ${vocabulary} COMMENT "Compressing ${vocabulary}" VERBATIM)
  target_sources(linnet_text PRIVATE ${gz})  # so that it is built
  set_source_files_properties(text/builtin_vocabulary.cc PROPERTIES
    COMPILE_DEFINITIONS LINNET_VOCABULARY_GZ="${gz}" OBJECT_DEPENDS ${gz})
  message(STATUS "World vocabulary: ${vocabulary}")
else()
  message(STATUS "World vocabulary: not built in; run tools/fetch-vocabulary or give LINNET_VOCAB")
endif()
