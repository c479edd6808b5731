"""What later versions of azure-cli do, for the 2.45 of Debian 12.

Its role commands crash before they ask anybody, because it is packaged with a library that calls its configuration
_config; and it does not know the setting core.instance_discovery, without which MSAL asks login.microsoftonline.com
about each authority whose path does not begin with adfs.
"""

import importlib.abc
import importlib.machinery
import os
import sys


def give_config(module):
    for name, operations in list(vars(module).items()):
        if isinstance(operations, type) and name.endswith("Operations") and not hasattr(operations, "config"):
            operations.config = property(lambda self: self._config)


def discover_no_instance(module):
    before = module.ClientApplication.__init__

    def init(self, *args, **kwargs):
        kwargs.setdefault("instance_discovery", False)
        before(self, *args, **kwargs)

    module.ClientApplication.__init__ = init


def change(name):
    if name.startswith("azure.mgmt.authorization.") and name.endswith("_operations"):
        return give_config
    if name == "msal.application" and os.environ.get("AZURE_CORE_INSTANCE_DISCOVERY") == "0":
        return discover_no_instance
    return None


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if not change(name):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec and spec.loader:
            spec.loader = Loader(spec.loader)
        return spec


class Loader(importlib.abc.Loader):
    def __init__(self, loader):
        self.loader = loader

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        self.loader.exec_module(module)
        change(module.__name__)(module)


sys.meta_path.insert(0, Finder())
