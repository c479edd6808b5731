"""Gets tokens from the plain layout of a service, https://HOST/TENANT, with the libraries that az is made of.

For each library, kind of proof and resource it prints a line: what it is, and the access token. Settings come from the
environment: AUTHORITY, TENANT, CLIENT, SECRET, FEDERATED_TOKEN, and CERTIFICATE, a PEM file that holds its key as well.
"""

import os

import msal
import OpenSSL.crypto
from azure.identity import CertificateCredential, ClientAssertionCredential, ClientSecretCredential

env = os.environ
resources = "https://vault.azure.net", "https://storage.azure.com"
with open(env["CERTIFICATE"]) as file:
    pem = file.read()
thumbprint = OpenSSL.crypto.load_certificate(OpenSSL.crypto.FILETYPE_PEM, pem).digest("sha1").decode().replace(":", "")

for name, credential in {
    "secret": env["SECRET"],
    "assertion": {"client_assertion": env["FEDERATED_TOKEN"]},
    "certificate": {"private_key": pem, "thumbprint": thumbprint},
    "certificate that is sent along": {"private_key": pem, "thumbprint": thumbprint, "public_certificate": pem},
}.items():
    app = msal.ConfidentialClientApplication(
        env["CLIENT"],
        client_credential=credential,
        authority=env["AUTHORITY"] + "/" + env["TENANT"],
        instance_discovery=False,
    )
    for resource in resources:
        answer = app.acquire_token_for_client([resource + "/.default"])
        print("MSAL, " + name, resource, answer.get("access_token") or answer, sep="\t")

env["AZURE_AUTHORITY_HOST"] = env["AUTHORITY"]
tenant, client = env["TENANT"], env["CLIENT"]
plain = {"instance_discovery": False, "disable_instance_discovery": True}  # one setting: it was given another name
for name, credential in {
    "secret": ClientSecretCredential(tenant, client, env["SECRET"], **plain),
    "assertion": ClientAssertionCredential(tenant, client, lambda: env["FEDERATED_TOKEN"]),
    "certificate": CertificateCredential(tenant, client, env["CERTIFICATE"], **plain),
}.items():
    for resource in resources:
        print("azure-identity, " + name, resource, credential.get_token(resource + "/.default").token, sep="\t")
