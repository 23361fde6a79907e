#!/usr/bin/env python3
"""What the hospitals and the account's issuer do before the joint run, each with its own keys.

usage: setup.py WORK [named]   (see demo.sh)   named: an issuer has the joint account's key, splits it, and the job names it
Talks to the object store with nothing but Python's own library: a signature (AWS Signature Version 4)
in headers or in a pre-signed URL.
"""
import datetime
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import socket
import ssl
import sys
import urllib.parse

work = pathlib.Path(sys.argv[1])
named = sys.argv[2:] == ["named"]
endpoints = json.loads((work / "cloud/endpoints.json").read_text())
accounts = {a["account"]: a for a in json.loads((work / "cloud/accounts.json").read_text())}
here = pathlib.Path(__file__).parent
REGION = "us-east-1"


class Store:
    """The object store as one account sees it."""

    def __init__(self, account):
        self.id = accounts[account]["access_key_id"]
        self.secret = accounts[account]["secret_access_key"]
        self.tls = ssl.create_default_context(cafile=str(work / "cloud/ca.pem"))

    def signature(self, method, host, path, query, headers, payload_hash, now):
        names = ";".join(sorted(headers))
        lines = [method, path, query] + [f"{k}:{headers[k]}" for k in sorted(headers)] + ["", names, payload_hash]
        scope = f"{now[:8]}/{REGION}/s3/aws4_request"
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        key = b"AWS4" + self.secret.encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        text = "\n".join(["AWS4-HMAC-SHA256", now, scope, digest])
        return names, scope, hmac.new(key, text.encode(), "sha256").hexdigest()

    def put(self, host, target, body, **more):
        path, _, query = target.partition("?")
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        payload_hash = hashlib.sha256(body).hexdigest()
        headers = {"host": host, "x-amz-date": now, "x-amz-content-sha256": payload_hash, **more}
        names, scope, signature = self.signature("PUT", host, path, query, headers, payload_hash, now)
        headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.id}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        connection = http.client.HTTPSConnection(host)
        connection.sock = self.tls.wrap_socket(
            socket.create_connection(("127.0.0.1", endpoints["port"])), server_hostname=host
        )
        connection.request("PUT", target, body, headers)
        answer = connection.getresponse()
        if answer.status not in (200, 204):
            sys.exit(f"PUT {host}{path}: {answer.status} {answer.read().decode()}")

    def create_bucket(self, bucket):
        self.put("s3.us-east-1.amazonaws.com", f"/{bucket}", b"")

    def put_object(self, bucket, key, body, **more):
        self.put(f"{bucket}.s3.amazonaws.com", f"/{key}", body, **more)

    def url(self, method, bucket, key):
        host = f"{bucket}.s3.amazonaws.com"
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        query = urllib.parse.urlencode(
            {
                "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
                "X-Amz-Credential": f"{self.id}/{now[:8]}/{REGION}/s3/aws4_request",
                "X-Amz-Date": now,
                "X-Amz-Expires": "3600",
                "X-Amz-SignedHeaders": "host",
            }
        )
        _, _, signature = self.signature(method, host, f"/{key}", query, {"host": host}, "UNSIGNED-PAYLOAD", now)
        return f"https://{host}/{key}?{query}&X-Amz-Signature={signature}"


# Each hospital: its own bucket, its own half, links that only it knows.
for number, name in enumerate(["hospital-a", "hospital-b"], 1):
    bucket = f"{name}-data"
    store = Store(name)
    store.create_bucket(bucket)
    key = f"half-{os.urandom(8).hex()}.csv"
    result = f"result-{os.urandom(8).hex()}.json"
    store.put_object(bucket, key, (work / f"half-{number}.csv").read_bytes())
    links = work / name / "links.toml"
    links.write_text(
        f'data_url = "{store.url("GET", bucket, key)}"\n'
        f'result_url = "{store.url("PUT", bucket, result)}"\n'
        f'result_get_url = "{store.url("GET", bucket, result)}"\n'
    )
    links.chmod(0o600)

# What only one of them gives to the sign-up: it is stored nowhere, and shown to nobody.
for name, inputs in {
    "hospital-a": {"phone-number": "491701234567"},
    "hospital-b": {"card-number": "4111111111111111", "postal-address": "1 Long Road, Cambridge".ljust(96)},
}.items():
    path = work / name / "inputs.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(inputs))

# The agreed script is public: everybody reviews it, the VM checks its SHA-256.
script = (here / "train.py").read_bytes()
joint = Store("joint")
joint.create_bucket("joint-scripts")
joint.put_object("joint-scripts", "train.py", script, **{"x-amz-acl": "public-read"})
# A place for the loader of a run: what lies there is sealed, so everybody may read it. The first
# hospital's flexroom writes it.
policy = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::joint-scripts/loader-*",
        }
    ],
}
joint.put("joint-scripts.s3.amazonaws.com", "/?policy=", json.dumps(policy).encode())
with (work / "hospital-a/links.toml").open("a") as links:
    links.write(
        'loader_url = "https://joint-scripts.s3.amazonaws.com/loader-1"\n'
        f'loader_put_url = "{joint.url("PUT", "joint-scripts", "loader-1")}"\n'
    )
key = f"""access_key_id = "{accounts['joint']['access_key_id']}"
secret = "joint/aws-secret-key"
"""
job = f"""[job]
name = "breast-cancer"
provider = "sandbox"
region = "us-east-1"
image_id = "ami-0123456789abcdef0"
instance_type = "t3.large"
{key if named else ""}deadline_minutes = 15

[script]
url = "https://joint-scripts.s3.amazonaws.com/train.py"
sha256 = "{hashlib.sha256(script).hexdigest()}"
interpreter = "/usr/bin/python3"
"""

for name in ["hospital-a", "hospital-b"]:
    (work / name / "job.toml").write_text(job)
if not named:
    sys.exit()

# The issuer of the joint account gives every member one XOR share of the secret key and forgets it.
secret = accounts["joint"]["secret_access_key"].encode()
first = os.urandom(len(secret))
shares = [first, bytes(a ^ b for a, b in zip(first, secret))]
salts = [os.urandom(16) for _ in shares]
commitments = [hashlib.sha256(salt + share).hexdigest() for salt, share in zip(salts, shares)]
for name, share, salt in zip(["hospital-a", "hospital-b"], shares, salts):
    path = work / name / "joint-share.json"
    path.touch(mode=0o600)
    path.write_text(
        json.dumps(
            {
                "name": "joint/aws-secret-key",
                "kind": "aws-secret-key",
                "class": "b64",
                "entropy": 238,  # 40 characters, drawn at random
                "provider": "sandbox",
                "purposes": ["sigv4 ec2 us-east-1", "sigv4 sts us-east-1"],
                "length": len(secret),
                "share": share.hex(),
                "salt": salt.hex(),
                "commitments": commitments,
            }
        )
    )
