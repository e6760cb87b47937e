# Embeds a model in linnet_models: models/linnet.safetensors, or LINNET_MODEL. Without either the
# build continues, and the program says at run time what is missing. Included by src/CMakeLists.txt
# after the room.
set(LINNET_MODEL "" CACHE FILEPATH "A model to be built in instead of models/linnet.safetensors")
get_filename_component(model "${LINNET_MODEL}" ABSOLUTE BASE_DIR ${PROJECT_SOURCE_DIR})
if(NOT LINNET_MODEL)
  # A glob, so that the build notices when the file is added or removed.
  file(GLOB model CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/models/linnet.safetensors)
elseif(NOT EXISTS ${model})
  message(FATAL_ERROR "LINNET_MODEL: no file ${model}")
endif()

if(model)
  set_source_files_properties(models/builtin_model.cc PROPERTIES
    COMPILE_DEFINITIONS LINNET_MODEL_FILE="${model}" OBJECT_DEPENDS ${model})
  message(STATUS "Built-in model: ${model}")
else()
  message(STATUS "Built-in model: none; models/linnet.safetensors is missing")
endif()
