// What most tests include, precompiled once (CMakeLists.txt, FLEXROOM_PCH). Nothing includes this
// file: each test names what it uses.
#ifndef FLEXROOM_TESTS_SUPPORT_PRECOMPILED_H
#define FLEXROOM_TESTS_SUPPORT_PRECOMPILED_H

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#endif  // FLEXROOM_TESTS_SUPPORT_PRECOMPILED_H
