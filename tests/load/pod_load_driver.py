"""Offers a load from pods until it is ended from outside: KUBECONFIG CONTEXT URL NAMESPACE FOLDER LOCUSTFILE."""

import sys
import threading
from pathlib import Path

from flametest.clusters import Access
from flametest.load import LoadOptions
from flametest.run.loadpods import PodLoadOptions, loaded_from_pods

kubeconfig, context, url, namespace, folder, locustfile = sys.argv[1:]
options = PodLoadOptions(LoadOptions(4, 2, url, Path(locustfile), 60), workers=1)
access = Access(Path(kubeconfig), context, url, namespace)
with loaded_from_pods("scenario", access, options, Path(folder), lambda _: None):
    print("loaded", flush=True)
    threading.Event().wait(60)
