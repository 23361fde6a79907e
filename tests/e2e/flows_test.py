"""The shipped flow files (share/flows), done in the clear by flow_driver.py against a real sandbox: that the
hosts are there, answer as the files expect, and refuse and fail as the files have rules for. What the
sandbox saw is compared with what the flow holds. A joint run has to come to the same.
usage: flows_test.py FLEXROOM-SANDBOX SOURCE-FOLDER [unittest arguments]"""
import base64
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import tomllib
import unittest

import boto3
from botocore.config import Config

from flow_driver import Cloud, Flow, Stopped

SANDBOX = ROOT = ""
# What is done to each request: its answer lost, itself lost; in the long runs more.
LONG = os.environ.get("FLEXROOM_LONG")
WAYS = ("cut", "drop") + (("429", "503", "truncate") if LONG else ())
INPUTS = {"phone-number": "491701234567", "postal-address": "1 Long Road, Cambridge".ljust(96),
          "card-number": "4111111111111111", "payer-card": "4012888888881881"}
PEOPLE = {"person": "hospital-a", "phone": "hospital-a", "payer": "hospital-b", "postal": "hospital-b"}


class Flows(unittest.TestCase):
    def start(self, *arguments):
        folder = tempfile.TemporaryDirectory(prefix="flexroom-flows-")
        self.addCleanup(folder.cleanup)
        command = [SANDBOX, "--dir", folder.name + "/state", "--json", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        self.assertTrue(json.loads(process.stdout.readline())["ok"])
        self.cloud = Cloud(folder.name + "/state")
        self.store = {}

    def set(self, **settings):
        self.cloud.admin("POST", "/settings", settings)

    def faults(self, *rules):
        self.cloud.admin("POST", "/faults", list(rules))

    def answer(self, step, flow):
        """What a person reads: the picture, or the telephone."""
        if step == "TypePhoneCode":
            return self.cloud.seen("telephone code", flow.store["account/account-id"])[-1]
        captcha = "run/signin-captcha" if step == "SolveSignInCaptcha" else "run/captcha"
        return self.cloud.seen("captcha answer", flow.run[captcha])[-1]

    def flow(self, name, ask=None, room="room", pace=0.02, **arguments):
        file = pathlib.Path(ROOT) / "share/flows" / (name + ".toml")
        return Flow(self.cloud, file, self.store, arguments, INPUTS, ask or self.answer, room, pace)

    def classic(self, boot=b"#!/bin/sh\n", image="none/such:1", room="room", pace=0.02):
        return self.flow("run-script-classic", room=room, pace=pace,
                         **{"user-data": base64.b64encode(boot).decode(), "training-image": image})

    def create_account(self, **people):
        return self.flow("create-account", **{**PEOPLE, **people}).go()

    def create_session(self, pace=0.02):
        return self.flow("create-session", pace=pace, person="hospital-a").go()

    def client(self, service):
        """boto3 with the key that the flows made."""
        made = boto3.client(service, "us-east-1", endpoint_url=f"https://localhost:{self.cloud.port}",
                            aws_access_key_id=self.store["account/keys/id"],
                            aws_secret_access_key=self.store["account/keys/secret"],
                            verify=str(self.cloud.state / "ca.pem"), config=Config(retries={"max_attempts": 0}))
        self.addCleanup(made.close)
        return made

    def keys_of_account(self):
        """The live keys, as the sandbox keeps them."""
        accounts = json.loads((self.cloud.state / "iam.json").read_text())["accounts"]
        return sorted(accounts[self.store["account/account-id"]]["keys"])

    def assert_one_account(self, charges=1):
        """No orphan, no second charge, and the sandbox has what the room has."""
        people = json.loads((self.cloud.state / "people.json").read_text())
        self.assertEqual(list(people), [self.store["account/mail/address"]])
        person = people[self.store["account/mail/address"]]
        self.assertEqual(person["account_id"], self.store["account/account-id"])
        self.assertEqual(person["password"], self.store["account/account/password"])
        self.assertEqual(self.cloud.seen("charge"), [INPUTS["card-number"]] * charges)
        self.assertTrue(person["phone_verified"])
        boxes = json.loads((self.cloud.state / "mailboxes.json").read_text())
        self.assertEqual(boxes[self.store["account/mail/address"]]["password"], self.store["account/mail/password"])

    def assert_one_key(self):
        self.assertEqual(self.keys_of_account(), [self.store["account/keys/id"]])
        self.assertEqual(self.client("sts").get_caller_identity()["Account"], self.store["account/account-id"])

    def sign_up_and_in(self):
        self.create_account()
        self.create_session()


class Story(Flows):
    """Without faults; the numbers of steps are those of operations.md (d)."""

    def story(self, *settings):
        self.start(*settings)
        self.assertEqual(len(self.create_account()), 23)
        self.assert_one_account()
        self.assertEqual([event for _, event in self.create_session()], ["ok"] * 15 + ["none"])
        self.assert_one_key()

    def test_account_and_session(self):
        self.story()

    def test_account_and_session_with_rotating_cookies(self):
        self.story("--set", "rotate_cookies=true")

    def test_another_session_rotates_the_key(self):
        self.start()
        self.sign_up_and_in()
        before = self.store["account/keys/id"]
        trace = [name for name, _ in self.create_session()]
        self.assertEqual(trace.count("DeleteOldKey"), 1)
        self.assertNotEqual(self.store["account/keys/id"], before)
        self.assert_one_key()

    def test_a_second_factor(self):
        self.start()
        self.sign_up_and_in()
        self.flow("enrol-totp").go()
        self.assertIn(("SubmitTotp", "ok"), self.create_session())
        self.assert_one_key()
        self.flow("drop-totp").go()
        self.assertNotIn("SubmitTotp", [name for name, _ in self.create_session()])

    def test_cards_bought_in_both_forms_pay_for_an_account(self):
        for name in ("buy-card", "buy-card-pdf"):
            with self.subTest(name):
                self.start()
                self.flow(name, payer="hospital-b").go()
                number = self.store["card/card-number"]
                self.assertEqual(self.cloud.seen("card number"), [number])
                self.create_account(payer="room:card")
                self.assertEqual(self.cloud.seen("charge"), [INPUTS["payer-card"], number])

    def test_quota_and_support(self):
        self.start("--set", "quota_case_s=0", "--set", "desk_words=We look at it.")
        self.sign_up_and_in()
        self.assertEqual([event for _, event in self.flow("quota-increase", value="16").go()], ["ok"])
        state = self.flow("quota-state")
        state.go()
        self.assertEqual(state.run["run/quota-state"], "CASE_OPENED")
        # Its answer lost: the open request is found.
        request = self.store.pop("account/quota-request")
        trace = self.flow("quota-increase", value="16").go()
        self.assertEqual(trace[-1], ("ListCaseOpened", "ok"))
        self.assertEqual(self.store["account/quota-request"], request)
        self.cloud.admin("POST", "/quotas", {"id": request, "status": "APPROVED"})
        state.go()
        self.assertEqual(state.run["run/quota-state"], "APPROVED")

        case = self.flow("support-case")
        self.assertIn(("CreateCase", "ok"), case.go())
        self.assertEqual(case.run["run/words"], "We look at it.")
        case = self.flow("support-case")
        self.assertEqual([name for name, _ in case.go()], ["FindCase", "ReadWords"])
        # Words that repeat the address, or have a link, are opened to nobody.
        for words, failure in (("Dear " + self.store["account/mail/address"], "assert mail"),
                               ("See https://example.test", "assert link"), ("a\nb", "escaped text"),
                               ("x" * 512, "too long")):
            self.cloud.admin("POST", "/words", {"case": self.store["account/case"], "text": words})
            with self.assertRaisesRegex(Stopped, failure):
                self.flow("support-case").go()
        self.assertEqual(len([words for words in self.cloud.seen("case")]), 1)
        self.assertEqual(self.flow("support-mail").go()[-1], ("ReadMail", "ok"))

    def test_no_mail_of_the_desk(self):
        self.start()
        self.create_account()
        self.assertEqual(self.flow("support-mail").go()[-1], ("ReadMail", "none"))

    def upload(self, bucket, key, script):
        s3 = self.client("s3")
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key=key, Body=script)
        return f"{bucket}.s3.us-east-1.amazonaws.com/{key}@sha256:{hashlib.sha256(script).hexdigest()}"

    def test_classic(self):
        self.start()
        self.sign_up_and_in()
        image = self.upload("agreed-scripts", "train.sh", b"#!/bin/sh\necho 42 > \"$SM_MODEL_DIR/answer\"\n")
        run = self.classic(b"#!/bin/sh\necho booted\nsleep 600\n", image)
        self.assertEqual([event for _, event in run.go()], ["ok"] * 10)
        instance = self.store["account/instance-id"]
        described = self.client("ec2").describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        self.assertEqual((described["KeyName"], described["ClientToken"]),
                         ("flexroom-" + run.builtin["room"], run.builtin["run"]))
        job = self.finished("flexroom-" + run.builtin["run"])
        self.assertEqual(job["TrainingJobStatus"], "Completed", job)
        model = self.client("s3").get_object(
            Bucket="flexroom-" + run.builtin["run"],
            Key=f"out/flexroom-{run.builtin['run']}/output/model.tar.gz")["Body"].read()
        unpacked = subprocess.run(["tar", "-xzO", "./answer"], input=model, capture_output=True, check=True)
        self.assertEqual(unpacked.stdout, b"42\n")
        # Again: role, pair and group are there and are found.
        names = [name for name, _ in self.classic().go()]
        self.assertIn("GetRole", names)
        self.assertIn("DescribeSecurityGroups", names)

    def finished(self, name):
        for _ in range(600):
            job = self.client("sagemaker").describe_training_job(TrainingJobName=name)
            if job["TrainingJobStatus"] not in ("InProgress", "Stopping"):
                return job
            time.sleep(0.1)
        self.fail("the job does not end")


class Odd(Flows):
    """What the files have rules for, and what they refuse."""

    def test_what_comes_late(self):
        self.start()
        self.create_account()
        self.set(key_lag_s=2, list_lag_s=4)
        trace = self.create_session(pace=0.06)
        self.assertIn(("GetCallerIdentity", "403"), trace)
        self.assertIn(("AwaitKey", "none"), trace)
        self.assert_one_key()
        trace = self.create_session(pace=0.06)
        self.assertIn(("DeleteOldKey", "404"), trace)
        self.assert_one_key()

    def test_a_role_and_a_group_of_ours_that_are_not_known_everywhere_yet(self):
        self.start()
        self.sign_up_and_in()
        self.set(role_lag_s=3, group_lag_s=3)
        trace = self.classic(pace=0.08).go()
        self.assertIn(("AttachSagePolicy", "404"), trace)
        # Their answers lost: they are there, and found late.
        self.faults("POST iam.amazonaws.com/ cut x1", "POST ec2.us-east-1.amazonaws.com/ cut x1 after 2")
        trace = self.classic(room="another", pace=0.08).go()
        for lost in (("CreateIamRole", "409 EntityAlreadyExists"), ("GetRole", "404"),
                     ("CreateSecurityGroup", "400 InvalidGroup.Duplicate"), ("DescribeSecurityGroups", "400")):
            self.assertIn(lost, trace)

    def test_codes_of_refusals_that_say_no_type(self):
        self.start("--fault", "POST ec2.us-east-1.amazonaws.com/ untyped")
        self.sign_up_and_in()
        self.faults("POST ec2.us-east-1.amazonaws.com/ untyped", "POST ec2.us-east-1.amazonaws.com/ cut x1 after 1",
                    "POST ec2.us-east-1.amazonaws.com/ cut x1 after 3")
        trace = self.classic().go()
        self.assertIn(("CreateKeyPair", "400 InvalidKeyPair.Duplicate"), trace)
        self.assertIn(("CreateSecurityGroup", "400 InvalidGroup.Duplicate"), trace)
        self.assertEqual(trace[-1], ("CreateSagemakerJob", "ok"))

    def test_a_key_of_a_chat_service_and_an_answer(self):
        self.start()
        admin = (self.cloud.state / "api-token").read_text().strip()
        INPUTS.update({"admin-key": admin, "question": "How many words are these?".ljust(256)})
        self.faults("POST llm.flexroom.example/* cut x1")
        trace = self.flow("chat-key", admin="hospital-b", project="proj_1").go()
        self.assertEqual(trace, [("MakeKey", "unknown"), ("MakeKey", "ok")])
        made = json.loads((self.cloud.state / "service-accounts.json").read_text())
        self.assertEqual(len(made), 2)  # what `leaves` says of a lost answer
        self.assertIn(self.store["chat/key"], [one["key"] for one in made.values()])
        asked = self.flow("ask-chat", asker="hospital-b")
        self.assertEqual(asked.go(), [("Ask", "ok")])
        self.assertEqual(self.store["chat/answer"], "You sent 18 words.")
        self.assertEqual(asked.run["run/tokens"], "22")
        self.store["chat/key"] = "sk-svcacct-" + "x" * 48
        with self.assertRaisesRegex(Stopped, "Ask: 401 invalid_api_key"):
            self.flow("ask-chat", asker="hospital-b").go()

    def test_strangers_planted_codes_and_odd_lists(self):
        self.start("--set", "strangers=3", "--set", "planted_codes=1", "--set", "odd_lists=true")
        trace = self.create_account()
        self.assertIn(("VerifyOTP", "400"), trace)
        self.assert_one_account()
        # A list of keys with an entry that is none is read by nobody; the key is proved by then.
        with self.assertRaisesRegex(Stopped, "ListOldKeys: failure (other type|not found)"):
            self.create_session()
        self.assert_one_key()
        self.set(odd_lists=False)
        self.create_session()
        self.assert_one_key()

    def test_a_wrong_code_that_ends_the_right_one(self):
        self.start("--set", "planted_codes=1", "--set", "wrong_code_ends=true")
        trace = self.create_account()
        self.assertEqual([event for name, event in trace if name == "VerifyOTP"], ["400", "400", "ok"])
        self.assertEqual([name for name, _ in trace].count("InitialRequest"), 2)
        self.assert_one_account()

    def test_mails_that_come_late_or_never(self):
        self.start("--set", "mail_delay_s=1")
        self.assertIn(("GetOTP", "none"), self.create_account())
        self.assert_one_account()
        self.start("--set", "lost_mails=1")
        trace = self.create_account()
        self.assertEqual([event for name, event in trace if name == "GetOTP"].count("none"), 25)
        self.assertEqual([name for name, _ in trace].count("InitialRequest"), 2)
        self.assert_one_account()

    def test_a_mailbox_that_is_somebody_elses(self):
        self.start("--set", "taken_addresses=1")
        with self.assertRaisesRegex(Stopped, "GetMailToken: 401"):
            self.create_account()

    def test_wrong_people_and_nobody(self):
        self.start()
        given = []

        def ask(step, flow):
            given.append(step)
            return {1: "wrong1", 2: None}.get(len(given)) if len(given) < 3 else self.answer(step, flow)
        trace = self.flow("create-account", ask, **PEOPLE).go()
        self.assertIn(("VerifyCaptcha", "400"), trace)
        self.assertIn(("SolveCaptcha", "none"), trace)
        self.assert_one_account()

    def test_a_declined_card(self):
        self.start("--set", "refused_cards=1")
        with self.assertRaisesRegex(Stopped, "SubmitCredit: 402"):
            self.create_account()
        self.start("--set", "refused_cards=1")
        with self.assertRaisesRegex(Stopped, "Order: 402"):
            self.flow("buy-card", payer="hospital-b").go()

    def test_cookies_deleted_or_blanked(self):
        for setting in ("delete_cookie", "blank_cookie"):
            for cookie, step in (("session", "SubmitEmail"), ("creds", "InitiateBilling")):
                with self.subTest(setting=setting, cookie=cookie):
                    self.start("--set", f"{setting}={cookie}")
                    with self.assertRaisesRegex(Stopped, f"{step}: failure deleted"):
                        self.create_account()

    def test_a_compressed_pdf_and_a_link_that_ends(self):
        self.start("--set", "compressed_pdf=true")
        with self.assertRaisesRegex(Stopped, "GetCard: failure (not found|assert plain)"):
            self.flow("buy-card-pdf", payer="hospital-b").go()
        self.start("--set", "voucher_answers=1")
        self.faults("GET shop.flexroom.example/voucher cut x1")
        with self.assertRaisesRegex(Stopped, "GetCard: 410"):
            self.flow("buy-card", payer="hospital-b").go()

    def test_no_support_plan(self):
        self.start("--set", "support_plan=false")
        self.sign_up_and_in()
        with self.assertRaisesRegex(Stopped, "FindCase: 400"):
            self.flow("support-case").go()

    def test_answers_that_are_no_answers(self):
        self.start()
        self.faults("GET signup.flexroom.example/key gzip")
        with self.assertRaisesRegex(Stopped, "GetPageKey: failure content-encoding"):
            self.create_account()

    def test_errors_that_echo_or_are_malformed_are_ruled_by_their_status(self):
        for what in ("echo", "garble"):
            self.start()
            hosts = [host + ".flexroom.example" for host in ("mail", "signup", "signin", "console")]
            hosts += ["iam.amazonaws.com", "ec2.us-east-1.amazonaws.com", "support.us-east-1.amazonaws.com"]
            self.faults(*[f"* {host}/* {what}" for host in hosts])
            self.set(planted_codes=1)
            self.assertIn(("VerifyOTP", "400"), self.create_account())
            self.create_session()
            self.assert_one_key()
            self.classic().go()
            # A code can be read behind an echo, not in what is malformed: then the status alone counts.
            if what == "echo":
                self.assertIn(("CreateIamRole", "409 EntityAlreadyExists"), self.classic().go())
            else:
                with self.assertRaisesRegex(Stopped, "CreateIamRole: 409 other"):
                    self.classic().go()


class Faults(Flows):
    """Every request of every flow once without its answer (carried out or not), throttled, unavailable, cut
    in the middle: the flow goes on by its rules, and nothing is left over or doubled."""

    def calls(self, name):
        """The requests of a flow's main line as rules for a fault: METHOD HOST/PATH, and which of those."""
        file = pathlib.Path(ROOT) / "share/flows" / (name + ".toml")
        out, before = [], {}
        for step in tomllib.loads(file.read_text())["step"]:
            if "request" not in step:
                continue
            line, host = step["request"].split("\n")[:2]
            method, target, _ = line.split(" ")
            path, slot, _ = target.partition("?")[0].partition("{{")
            call = f"{method} {host.removeprefix('Host: ')}{path}{'*' if slot else ''}"
            out.append((call, before.setdefault(call, 0)))
            before[call] += 1
        return out

    def each(self, name, whats, run, prepare=lambda: None):
        """`run` with each of the flow's requests spoiled in each way; every day, each in one of them in turn."""
        for number, (call, index) in enumerate(self.calls(name)):
            for what in whats if LONG else (whats[number % len(whats)],):
                with self.subTest(call=call, index=index, what=what):
                    prepare()
                    self.faults(f"{call} {what} x1 after {index}")
                    run()
                    self.faults()

    def fresh(self):
        self.doCleanups()
        self.start()

    def test_create_account(self):
        def run():
            self.create_account()
            self.assert_one_account()
        self.each("create-account", WAYS, run, self.fresh)

    def test_create_session(self):
        self.start()
        self.sign_up_and_in()

        def run():
            self.create_session()
            self.assert_one_key()
        self.each("create-session", WAYS, run)

    def test_buy_card(self):
        for name in ("buy-card", "buy-card-pdf"):
            def run():
                self.flow(name, payer="hospital-b").go()
                self.assertEqual(self.cloud.seen("charge"), [INPUTS["payer-card"]])
                self.assertEqual(self.cloud.seen("card number"), [self.store["card/card-number"]])
            self.each(name, WAYS, run, self.fresh)

    def test_classic(self):
        self.start()
        self.sign_up_and_in()
        rooms = iter(range(1000))

        def run():
            flow = self.classic(room=f"room {next(rooms)}")
            flow.go()
            name, job = "flexroom-" + flow.builtin["room"], "flexroom-" + flow.builtin["run"]
            attached = self.client("iam").list_attached_role_policies(RoleName=name)["AttachedPolicies"]
            self.assertEqual(len(attached), 2)
            ec2 = self.client("ec2")
            self.assertEqual(len(ec2.describe_key_pairs(KeyNames=[name])["KeyPairs"]), 1)
            started = ec2.describe_instances(Filters=[{"Name": "client-token", "Values": [flow.builtin["run"]]}])
            ids = [one["InstanceId"] for part in started["Reservations"] for one in part["Instances"]]
            self.assertEqual(ids, [self.store["account/instance-id"]])
            ec2.terminate_instances(InstanceIds=ids)
            self.assertEqual(self.client("sagemaker").describe_training_job(TrainingJobName=job)["TrainingJobName"], job)
        self.each("run-script-classic", WAYS, run)

    def test_classic_whose_machine_is_gone(self):
        """Its token was used with other parameters, and no list has the machine: the run ends, without its id."""
        self.start("--set", "no_instances=true")
        self.sign_up_and_in()
        flow = self.classic()
        self.client("ec2").run_instances(ImageId="ami-0123456789abcdef0", InstanceType="t3.small", MinCount=1, MaxCount=1,
                                         ClientToken=flow.builtin["run"])
        flow.go()
        self.assertNotIn("account/instance-id", self.store)
        steps = [step for step, event in flow.trace]
        self.assertEqual(steps.count("FindInstance"), 6)
        self.assertEqual(steps[-1], "FindInstance")
        self.assertNotIn("CreateSagemakerJob", steps)

    def test_a_second_factor(self):
        self.start()
        self.sign_up_and_in()

        def run():
            self.flow("enrol-totp").go()
            devices = json.loads((self.cloud.state / "iam.json").read_text())["accounts"]
            device = devices[self.store["account/account-id"]]["mfa"]
            self.assertEqual([one["seed"] for one in device.values()], [self.store.pop("account/mfa/seed")])
            self.flow("drop-totp").go()
        self.each("enrol-totp", WAYS[:2], run)

        def drop():
            self.faults()
            self.flow("enrol-totp").go()
        self.each("drop-totp", WAYS[:2], lambda: self.flow("drop-totp").go(), drop)

    def test_quotas_and_cases(self):
        self.start("--set", "quota_case_s=0")
        self.sign_up_and_in()

        def run_case():
            self.flow("support-case").go()
            cases = self.client("support").describe_cases()["cases"]
            ours = [one["caseId"] for one in cases if one["subject"] == "Sixteen vCPUs for training jobs"]
            self.assertEqual(ours, [self.store["account/case"]])
            self.client("support").resolve_case(caseId=ours[0])
        self.each("support-case", WAYS, run_case)
        # Behind the search: the new case itself.
        for what in ("cut", "drop"):
            self.faults(f"POST support.us-east-1.amazonaws.com/ {what} x1 after 1")
            run_case()

        def run_quota():
            self.flow("quota-increase", value="16").go()
            self.flow("quota-state").go()
            history = self.client("service-quotas").list_requested_service_quota_change_history()
            self.assertEqual([one["Id"] for one in history["RequestedQuotas"]], [self.store["account/quota-request"]])
        self.each("quota-increase", WAYS, run_quota)


if __name__ == "__main__":
    SANDBOX, ROOT = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
