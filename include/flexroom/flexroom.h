#pragma once

/// All of Flexroom's public interface.

#include "flexroom/decider.h"
#include "flexroom/doctor.h"
#include "flexroom/engine.h"
#include "flexroom/error.h"
#include "flexroom/identity.h"
#include "flexroom/onboarding.h"
#include "flexroom/process.h"
#include "flexroom/room.h"
#include "flexroom/runs.h"
#include "flexroom/session.h"
#include "flexroom/version.h"
