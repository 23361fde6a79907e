# Writes OUT, a source with the files of FROM as bytes: the console needs no file beside the program.
# usage: cmake -DFROM=share/console -DOUT=console_files.cpp -P console_files.cmake
file(GLOB files RELATIVE ${FROM} ${FROM}/*.html ${FROM}/*.js ${FROM}/*.css ${FROM}/*.svg)
list(SORT files)
set(type_html "text/html; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_svg "image/svg+xml")
set(bytes "")
set(table "")
set(number 0)
foreach(file ${files})
  file(READ ${FROM}/${file} hex HEX)
  file(SHA256 ${FROM}/${file} hash)
  string(SUBSTRING ${hash} 0 16 tag)
  string(REGEX REPLACE "(..)" "'\\\\x\\1'," body "${hex}")
  string(REGEX MATCH "[a-z]+$" ending ${file})
  string(REGEX REPLACE "^(.*)\\.html$" "\\1" path ${file})
  if(path STREQUAL "index")
    set(path "")
  endif()
  string(APPEND bytes "constexpr char kFile${number}[] = {${body}};\n")
  string(APPEND table "    {\"/${path}\", \"${type_${ending}}\", \"\\\"${tag}\\\"\", {kFile${number}, sizeof kFile${number}}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUT}.new "#include \"node/console_files.h\"

namespace flexroom::node {
namespace {

${bytes}
constexpr ConsoleFile kFiles[] = {
${table}};

}  // namespace

std::span<const ConsoleFile> console_files() { return kFiles; }

}  // namespace flexroom::node
")
file(RENAME ${OUT}.new ${OUT})
