#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "call/links.h"
#include "call/open_call.h"
#include "config/config.h"

namespace flexroom {

/// The built-in recipe of run-script: one RunInstances call, signed with the job's key, whose user
/// data is the boot loader with each member's private text as slots of that member (product.md §6
/// `lean`; tls-in-mpc.md §5.11). It goes the same road as a recipe from a file.
///
/// The slots of member i are called "private-<i>-<k>" and come from run_member(); together they are
/// its private string in order. Throws InputError.
OpenCall run_instances_call(const JobConfig& job, const std::vector<PublicLinks>& links,
                            std::string_view client_token, const std::string& date_time);

/// The boot loader as the value of a form field, with the slots of run_instances_call(). Throws
/// InputError.
http::Base64Text user_data(const JobConfig& job, const std::vector<PublicLinks>& links);

/// The name under which member i gives its slots: its own, as its links say.
std::string run_member(const std::vector<PublicLinks>& links, PartyId member);

/// Where RunInstances is called.
std::string ec2_host(std::string_view region);

}  // namespace flexroom
