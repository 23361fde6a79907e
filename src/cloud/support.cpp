#include "cloud/support.h"

#include <algorithm>

#include "cloud/iam.h"

namespace flexroom::cloud {

namespace {

constexpr size_t kMaxCases = 5000, kMaxOpenCases = 50, kMaxWords = 200;
constexpr size_t kMaxSubject = 250, kMaxBody = 8000, kRecent = 5;
constexpr long kLeastPage = 10, kMostPage = 100;

/// One letter or digit, then also - and _, as the service's and the category's codes.
std::string code(const Members& in, const char* name, const std::string& otherwise) {
  const std::string value = in.text_or(name, otherwise, 64);
  if (lower(value).find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") !=
      std::string::npos) {
    in.refuse(name, "Member must be a code");
  }
  return value;
}

std::string one_of(const Members& in, const char* name, const std::vector<std::string>& known) {
  const std::string value = in.text_or(name, known.front());
  if (std::find(known.begin(), known.end(), value) == known.end()) {
    in.refuse(name, "Member must be a known one");
  }
  return value;
}

std::string year_of(std::time_t time) { return iso_date(time).substr(0, 4); }

}  // namespace

Response Support::handle(const Request& request, const Caller& caller) {
  const JsonCall call(request, "AWSSupport_20130415.");
  using Page = nlohmann::json (Support::*)(const Members&, const Caller&);
  static const std::map<std::string, Page> kPages = {
      {"DescribeCases", &Support::describe_cases},
      {"CreateCase", &Support::create_case},
      {"DescribeCommunications", &Support::describe_communications},
      {"AddCommunicationToCase", &Support::add_communication},
      {"ResolveCase", &Support::resolve_case},
  };
  const auto page = kPages.find(call.action());
  if (page == kPages.end()) unknown_operation(call.action());
  require_allowed(core_.directory, caller, Service::kSupport, "support:" + call.action(), "*");
  if (!core_.behaviour.support_plan) {
    throw ApiError(400, "SubscriptionRequiredException",
                   "Amazon Web Services Premium Support Subscription is required to use this "
                   "service.");
  }
  return json_rpc_answer((this->*page->second)(call.in(), caller));
}

Support::Case& Support::add(Case one) {
  const auto open = std::count_if(cases_.begin(), cases_.end(), [&](const Case& other) {
    return other.account == one.account && other.status != "resolved";
  });
  if (cases_.size() >= kMaxCases) {
    const auto over = std::find_if(cases_.begin(), cases_.end(),
                                   [](const Case& other) { return other.status == "resolved"; });
    if (over != cases_.end()) cases_.erase(over);
  }
  if (cases_.size() >= kMaxCases || open >= static_cast<long>(kMaxOpenCases)) {
    throw ApiError(400, "CaseCreationLimitExceeded",
                   "The case creation limit for the account has been exceeded.");
  }
  one.id = "case-" + one.account + "-muen-" + year_of(core_.now) + "-" + random_hex(16);
  one.display_id = random_text(1, "123456789") + random_text(9, "0123456789");
  one.created = core_.now;
  cases_.push_back(std::move(one));
  return cases_.back();
}

std::string Support::open_case(const std::string& account, const std::string& subject,
                               const std::string& body) {
  Case one;
  one.account = account;
  one.subject = subject;
  one.status = "unassigned";
  one.by = kDesk;
  one.service = "service-limit-increase";
  one.category = "general";
  one.severity = "low";
  one.language = "en";
  one.words.push_front({body, kDesk, core_.now});
  const Case& added = add(std::move(one));
  mail(added, "Your request was handed to the desk.", core_.now);
  return added.id;
}

nlohmann::json Support::create_case(const Members& in, const Caller& caller) {
  in.only({"subject", "communicationBody", "serviceCode", "severityCode", "categoryCode",
           "ccEmailAddresses", "language", "issueType"});
  Case one;
  one.account = caller.principal.account_id;
  one.subject = in.text("subject", kMaxSubject);
  const std::string body = in.text("communicationBody", kMaxBody);
  one.service = code(in, "serviceCode", "general-info");
  one.category = code(in, "categoryCode", "using-aws");
  one.severity = one_of(in, "severityCode", {"low", "normal", "high", "urgent", "critical"});
  one.language = one_of(in, "language", {"en", "zh", "ja", "ko"});
  one_of(in, "issueType", {"technical", "customer-service"});
  one.copies = in.texts("ccEmailAddresses", 10);
  one.status = "unassigned";
  // As the provider: by the address where the account has one.
  const Person* const person = core_.people.of_account(one.account);
  one.by = person == nullptr ? caller.principal.name : person->email;
  one.words.push_front({body, one.by, core_.now});
  if (!core_.behaviour.desk_words.empty()) {
    one.answer = core_.behaviour.desk_words;
    one.answer_due = core_.now + core_.behaviour.desk_answer_s;
  }
  const Case& added = add(std::move(one));
  sightings_.add({"saw", "support", "case", body, added.id});
  mail(added, "We have received your case.", core_.now);
  return {{"caseId", added.id}};
}

Support::Case& Support::find(const std::string& id, const std::string& account) {
  for (Case& one : cases_) {
    // Another account's case does not exist for this one.
    if (one.id == id && one.account == account) return one;
  }
  throw ApiError(400, "CaseIdNotFound", "The requested caseId could not be located.");
}

nlohmann::json Support::case_json(const Case& one, bool with_words) const {
  nlohmann::json out = {{"caseId", one.id},
                        {"displayId", one.display_id},
                        {"subject", one.subject},
                        {"status", one.status},
                        {"serviceCode", one.service},
                        {"categoryCode", one.category},
                        {"severityCode", one.severity},
                        {"submittedBy", one.by},
                        {"timeCreated", iso_date_ms(one.created)},
                        {"ccEmailAddresses", one.copies},
                        {"language", one.language}};
  if (!with_words) return out;
  auto recent = nlohmann::json::array();
  for (size_t i = 0; i < std::min(kRecent, one.words.size()); ++i) {
    const Communication& said = one.words[i];
    recent.push_back({{"caseId", one.id},
                      {"body", said.body},
                      {"submittedBy", said.by},
                      {"timeCreated", iso_date_ms(said.at)}});
  }
  out["recentCommunications"] = {{"communications", recent}};
  return out;
}

nlohmann::json Support::describe_cases(const Members& in, const Caller& caller) {
  in.only({"caseIdList", "displayId", "includeResolvedCases", "includeCommunications", "nextToken",
           "maxResults", "language"});
  const auto ids = in.texts("caseIdList", 100);
  for (const auto& id : ids) find(id, caller.principal.account_id);
  const bool resolved = in.flag("includeResolvedCases", false);
  const std::string display = in.text_or("displayId", "");
  std::vector<const Case*> chosen;
  for (auto one = cases_.rbegin(); one != cases_.rend(); ++one) {
    const bool named = ids.empty() || std::find(ids.begin(), ids.end(), one->id) != ids.end();
    if (one->account == caller.principal.account_id && named &&
        (display.empty() || one->display_id == display) &&
        (resolved || one->status != "resolved")) {
      chosen.push_back(&*one);
    }
  }
  const auto most =
      static_cast<size_t>(in.whole_or("maxResults", kLeastPage, kMostPage, kMostPage));
  const ListPage page =
      list_page(chosen.size(), most, in.text_or("nextToken", ""), "ValidationException");
  nlohmann::json out = {{"cases", nlohmann::json::array()}};
  for (size_t i = page.begin; i < page.end; ++i) {
    out["cases"].push_back(case_json(*chosen[i], in.flag("includeCommunications", true)));
  }
  if (!page.next.empty()) out["nextToken"] = page.next;
  return out;
}

nlohmann::json Support::describe_communications(const Members& in, const Caller& caller) {
  in.only({"caseId", "nextToken", "maxResults"});
  const Case& one = find(in.text("caseId"), caller.principal.account_id);
  const auto most =
      static_cast<size_t>(in.whole_or("maxResults", kLeastPage, kMostPage, kMostPage));
  const ListPage page =
      list_page(one.words.size(), most, in.text_or("nextToken", ""), "ValidationException");
  nlohmann::json out = {{"communications", nlohmann::json::array()}};
  for (size_t i = page.begin; i < page.end; ++i) {
    const Communication& said = one.words[i];
    out["communications"].push_back({{"caseId", one.id},
                                     {"body", said.body},
                                     {"submittedBy", said.by},
                                     {"timeCreated", iso_date_ms(said.at)},
                                     {"attachmentSet", nlohmann::json::array()}});
  }
  if (!page.next.empty()) out["nextToken"] = page.next;
  return out;
}

nlohmann::json Support::add_communication(const Members& in, const Caller& caller) {
  in.only({"caseId", "communicationBody", "ccEmailAddresses"});
  Case& one = find(in.text("caseId"), caller.principal.account_id);
  if (one.words.size() >= kMaxWords) {
    throw ApiError(400, "ValidationException", "Nothing more can be said in this case.");
  }
  const std::string body = in.text("communicationBody", kMaxBody);
  one.words.push_front({body, one.by, core_.now});
  if (one.status == "resolved") one.status = "reopened";
  sightings_.add({"saw", "support", "words", body, one.id});
  return {{"result", true}};
}

nlohmann::json Support::resolve_case(const Members& in, const Caller& caller) {
  in.only({"caseId"});
  Case& one = find(in.text("caseId"), caller.principal.account_id);
  const std::string before = one.status;
  one.status = "resolved";
  return {{"initialCaseStatus", before}, {"finalCaseStatus", one.status}};
}

void Support::answer(Case& one, const std::string& words, std::time_t at) {
  if (one.words.size() >= kMaxWords) return;
  one.words.push_front({words, kDesk, at});
  if (one.status != "resolved") one.status = "pending-customer-action";
  mail(one, words, at);
}

void Support::mail(const Case& one, const std::string& words, std::time_t at) {
  const Person* const person = core_.people.of_account(one.account);
  if (person == nullptr) return;
  core_.mail.send({person->email, kSender, "Sandbox Support", "[" + one.id + "] " + one.subject,
                   words + " (case " + one.display_id + " of " + person->email + ")"},
                  at);
}

bool Support::say(const std::string& case_id, const std::string& words) {
  for (Case& one : cases_) {
    if (one.id != case_id) continue;
    answer(one, words, core_.now);
    return true;
  }
  return false;
}

void Support::settle() {
  for (Case& one : cases_) {
    if (!one.answer_due || *one.answer_due > core_.now) continue;
    const std::time_t due = *one.answer_due;
    one.answer_due.reset();
    answer(one, one.answer, due);
  }
}

}  // namespace flexroom::cloud
