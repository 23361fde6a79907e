#pragma once

#include <span>
#include <string_view>

namespace flexroom::node {

/// A file of share/console, compiled in (cmake/console_files.cmake).
struct ConsoleFile {
  std::string_view path;  // "/style.css"; index.html is "/", approve.html "/approve"
  std::string_view type;
  std::string_view tag;  // of its bytes, with quotes
  std::string_view body;
};
std::span<const ConsoleFile> console_files();

}  // namespace flexroom::node
