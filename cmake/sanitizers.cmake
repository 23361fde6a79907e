# FLEXROOM_SANITIZE is a list for -fsanitize=, set by the presets asan-ubsan and tsan.
set(FLEXROOM_SANITIZE "" CACHE STRING "value for -fsanitize=")
if(FLEXROOM_SANITIZE)
  add_compile_options(-fsanitize=${FLEXROOM_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${FLEXROOM_SANITIZE})
endif()
