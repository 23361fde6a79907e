#!/usr/bin/env python3
"""What the hospitals and the account's issuer do before the joint run, each with its own keys.

usage: setup.py WORK BINARY_INDEPENDENT_ENDPOINTS   (see demo.sh)
Uses boto3 as it is: buckets, uploads and pre-signed URLs come from an independent client.
"""
import hashlib
import json
import os
import pathlib
import sys

import boto3
from botocore.config import Config

work = pathlib.Path(sys.argv[1])
endpoints = json.loads((work / "cloud/endpoints.json").read_text())
accounts = {a["account"]: a for a in json.loads((work / "cloud/accounts.json").read_text())}
here = pathlib.Path(__file__).parent
CONFIG = Config(signature_version="s3v4", s3={"addressing_style": "virtual"})


def s3(account, endpoint):
    keys = accounts[account]
    return boto3.client(
        "s3",
        region_name="us-east-1",
        aws_access_key_id=keys["access_key_id"],
        aws_secret_access_key=keys["secret_access_key"],
        endpoint_url=endpoint,
        verify=str(work / "cloud/ca.pem"),
        config=CONFIG if endpoint is None else Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )


def url(account, method, bucket, key):
    return s3(account, None).generate_presigned_url(
        method, Params={"Bucket": bucket, "Key": key}, ExpiresIn=3600
    )


endpoint = f"https://localhost:{endpoints['port']}"

# Each hospital: its own bucket, its own half, links that only it knows.
for number, name in enumerate(["hospital-a", "hospital-b"], 1):
    bucket = f"{name}-data"
    client = s3(name, endpoint)
    client.create_bucket(Bucket=bucket)
    key = f"half-{os.urandom(8).hex()}.csv"
    result = f"result-{os.urandom(8).hex()}.json"
    client.put_object(Bucket=bucket, Key=key, Body=(work / f"half-{number}.csv").read_bytes())
    links = work / name / "links.toml"
    links.write_text(
        f'data_url = "{url(name, "get_object", bucket, key)}"\n'
        f'result_url = "{url(name, "put_object", bucket, result)}"\n'
        f'result_get_url = "{url(name, "get_object", bucket, result)}"\n'
    )
    links.chmod(0o600)

# The agreed script is public: everybody reviews it, the VM checks its SHA-256.
script = (here / "train.py").read_bytes()
joint = s3("joint", endpoint)
joint.create_bucket(Bucket="joint-scripts")
joint.put_object(Bucket="joint-scripts", Key="train.py", Body=script, ACL="public-read")
# A place for the loader of a run: what lies there is sealed, so everybody may read it. The first
# hospital's flexroom writes it.
joint.put_bucket_policy(
    Bucket="joint-scripts",
    Policy=json.dumps(
        {
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
    ),
)
with (work / "hospital-a/links.toml").open("a") as links:
    links.write(
        'loader_url = "https://joint-scripts.s3.amazonaws.com/loader-1"\n'
        f'loader_put_url = "{url("joint", "put_object", "joint-scripts", "loader-1")}"\n'
    )
job = f"""[job]
name = "breast-cancer"
provider = "sandbox"
region = "us-east-1"
image_id = "ami-0123456789abcdef0"
instance_type = "t3.large"
access_key_id = "{accounts['joint']['access_key_id']}"
secret = "joint/aws-secret-key"
deadline_minutes = 15

[script]
url = "https://joint-scripts.s3.amazonaws.com/train.py"
sha256 = "{hashlib.sha256(script).hexdigest()}"
interpreter = "/usr/bin/python3"
"""

# The issuer of the joint account gives every member one XOR share of the secret key and forgets it.
secret = accounts["joint"]["secret_access_key"].encode()
first = os.urandom(len(secret))
shares = [first, bytes(a ^ b for a, b in zip(first, secret))]
salts = [os.urandom(16) for _ in shares]
commitments = [hashlib.sha256(salt + share).hexdigest() for salt, share in zip(salts, shares)]
for name, share, salt in zip(["hospital-a", "hospital-b"], shares, salts):
    (work / name / "job.toml").write_text(job)
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
