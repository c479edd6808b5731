"""A program of somebody who uses the Azure SDK for Python: it gets an access
token and writes {"token"} or {"error"}. Arguments: see ../token/main.go."""

import json
import os
import sys

from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

CREDENTIALS = {
    "default": DefaultAzureCredential,
    "managed-identity": lambda: ManagedIdentityCredential(client_id=os.environ["AZURE_CLIENT_ID"]),
}
scope, credential = (sys.argv[1:] + ["default"])[:2]
try:
    print(json.dumps({"token": CREDENTIALS[credential]().get_token(scope).token}))
except Exception as e:
    print(json.dumps({"error": str(e)}))
