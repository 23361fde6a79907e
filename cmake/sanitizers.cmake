# FLEXROOM_SANITIZE is a list for -fsanitize=, set by the presets asan-ubsan and tsan.
set(FLEXROOM_SANITIZE "" CACHE STRING "value for -fsanitize=")
if(FLEXROOM_SANITIZE)
  add_compile_options(-fsanitize=${FLEXROOM_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${FLEXROOM_SANITIZE})
endif()

# The fuzz preset: coverage for libFuzzer, and the address sanitizer to notice what it finds.
if(FLEXROOM_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link,address -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address)
endif()
