# Warnings every target of this project is built with; all of them are errors.
add_library(flexroom_warnings INTERFACE)
target_compile_options(flexroom_warnings INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Werror)
# -Wsign-conversion is left out: with spans and size_t it flags noise only.
target_compile_options(flexroom_warnings INTERFACE -Wno-sign-conversion)
