"""An identity provider: its keys at an address, and tokens that it signed, or that somebody else made.

issuer.py   prints one line of JSON, {"url": keys, "tokens": {name: token}}, and serves the keys until standard input ends.
"""
import base64
import hashlib
import hmac
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

KEYS = {
    "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
ALGORITHMS = jwt.algorithms.get_default_algorithms()


def jwk(name):
    described = ALGORITHMS[name].to_jwk(KEYS[name].public_key(), as_dict=True)
    return {**described, "kid": name, "use": "sig", "alg": name}


SET = json.dumps({"keys": [jwk(name) for name in KEYS]}).encode()
NOW = int(time.time())


def claims(**changes):
    of = {
        "iss": "https://id.example",
        "aud": "gridtally",
        "sub": "meera",
        "exp": NOW + 3600,
        "groups": ["auditor"],
        "area": "F1",
    }
    of.update(changes)
    return of


def token(name="RS256", key=None, **changes):
    return jwt.encode(claims(**changes), key or KEYS[name], algorithm=name, headers={"kid": name})


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def signed_with_the_public_key():
    """HS256 with the public key as the secret: who takes the key for one lets anybody in."""
    pem = KEYS["RS256"].public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    message = part({"alg": "HS256", "typ": "JWT", "kid": "RS256"}) + b"." + part(claims(groups=["admin"]))
    signature = hmac.new(pem, message, hashlib.sha256).digest()
    return (message + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


class Keys(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(SET)))
        self.end_headers()
        self.wfile.write(SET)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Keys)
threading.Thread(target=server.serve_forever, daemon=True).start()
tokens = {
    "auditor_f1": token(),
    "admin_es256": token("ES256", groups=["admin"], area="*"),
    "operator_eddsa": token("EdDSA", groups=["operator", "staff"], area="*"),
    "no_role": token(groups=["staff"]),
    "expired": token(exp=NOW - 3600),
    "other_audience": token(aud="billing-portal"),
    "other_issuer": token(iss="https://elsewhere.example"),
    "no_area": token(area=None),
    "stranger": token(key=rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    "public_key_as_secret": signed_with_the_public_key(),
    "unsigned": (part({"alg": "none"}) + b"." + part(claims(groups=["admin"])) + b".").decode(),
}
print(json.dumps({"url": f"http://127.0.0.1:{server.server_port}/keys", "tokens": tokens}), flush=True)
sys.stdin.read()
