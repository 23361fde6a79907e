// What most tests include from outside, precompiled once (CMakeLists.txt, FLEXROOM_PCH). Nothing
// includes this file: each test names what it uses.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "base/precompiled.h"
