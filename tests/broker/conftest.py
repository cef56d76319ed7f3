"""Servers that replicate, for the tests of this directory: none yet, or a leader."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cluster import Cluster, Member


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


@pytest.fixture
def leader(cluster: Cluster) -> Member:
    return cluster.add(7001)
