"""The service as an application of Ray Serve, on a cluster that has Ray already.

pip install 'flatrec[serve]' 'ray[serve]'
FLATREC_RECOMMENDER=/srv/shop/recommender-store serve run deploy.ray_serve:app
"""

import os
from pathlib import Path

from ray import serve
from starlette.types import ASGIApp

RECOMMENDER = "FLATREC_RECOMMENDER"


def build() -> ASGIApp:
    """Load the recommender in a replica, and return the service."""
    from flatrec.serve.runner import Factory
    from flatrec.serve.settings import ServeSettings

    return Factory(Path(os.environ[RECOMMENDER]), ServeSettings(host="0.0.0.0"))()


options = {"num_cpus": 0.4, "runtime_env": {"env_vars": {RECOMMENDER: os.environ[RECOMMENDER]}}}
app = serve.deployment(num_replicas=2, ray_actor_options=options)(serve.ingress(build)()).bind()
