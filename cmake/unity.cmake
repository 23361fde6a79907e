# Several files a compilation (preset release, FLEXROOM_UNITY): what they include is parsed once, which
# halves the time of a whole build. Files of one folder that give a name of an anonymous namespace two
# meanings cannot share one: all of them but the first stand in cmake/alone.txt. Whoever meets
# "redefinition" here renames the newcomer or adds its file there. Everything else builds without.
option(FLEXROOM_UNITY "compile up to sixteen files of a folder as one" OFF)

file(STRINGS ${CMAKE_SOURCE_DIR}/cmake/alone.txt flexroom_alone REGEX "^[a-z]")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS cmake/alone.txt)
list(TRANSFORM flexroom_alone PREPEND ${CMAKE_SOURCE_DIR}/)

function(flexroom_unity target)
  if(NOT FLEXROOM_UNITY)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 16)
  # A class of a .cpp may hold what its anonymous namespace declares: it is in no header.
  target_compile_options(${target} PRIVATE -Wno-subobject-linkage)
  set_source_files_properties(${flexroom_alone} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()
