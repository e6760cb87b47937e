# The descriptions of the built-in benchmarks, which linnet_eval embeds. Included by
# src/CMakeLists.txt after the room.
set(folder ${CMAKE_CURRENT_SOURCE_DIR}/eval/tasks)
set_source_files_properties(eval/task_library.cc PROPERTIES COMPILE_DEFINITIONS
  "LINNET_ENGLISH_TASKS=\"${folder}/english.yaml\";LINNET_MULTILINGUAL_TASKS=\"${folder}/multilingual.yaml\";LINNET_MMLU_TASKS=\"${folder}/mmlu.yaml\""
  OBJECT_DEPENDS "${folder}/english.yaml;${folder}/multilingual.yaml;${folder}/mmlu.yaml")
