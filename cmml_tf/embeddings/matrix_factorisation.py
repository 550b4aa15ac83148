"""The pre-trained user and item embeddings (paper section 3.1): given, shipped, or factorised."""

import numpy as np

from cmml_tf.config import EmbeddingConfig
from cmml_tf.datasets.safe_files.matrix_file import read_matrix
from cmml_tf.datasets.tasks.scenario_data import ScenarioData

_SWEEPS_FROM_START = 3


def pretrained_embeddings(
    data: ScenarioData,
    config: EmbeddingConfig,
    seed: int,
    start: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """User and item embeddings that know nothing of the pairs of any scenario's episodes.

    The first of these that there is: the .npy files of the config; the embeddings that the data
    set ships; implicit-feedback ALS (Hu, Koren, Volinsky 2008) on the background pairs alone,
    users and items each scaled to `root_mean_square` per element over the rows that were fitted.
    Rows without a background pair are zero. The same seed gives the same bits, whatever the number
    of cores.

    Args:
      data: The data set.
      config: Files, or settings of the factorisation.
      seed: Fixes the first factors.
      start: Embeddings of an earlier state of the data, whose rows are the leading ones: few
        sweeps from there, turned to where they are. None: there are none.

    Returns:
      float32 [U, d_u] and [I, d_i].

    Raises:
      FileNotFoundError: A file of the config is missing.
      ValueError: A file does not fit the data set or holds NaN, or there is no background pair to
        factorise.
      ModuleNotFoundError: `implicit` is needed and not installed.
    """
    if config.user_file is not None and config.item_file is not None:
        return (
            _given(config.user_file, "user_file", "users", len(data.user_ids)),
            _given(config.item_file, "item_file", "items", len(data.item_ids)),
        )
    if data.user_embeddings is not None and data.item_embeddings is not None:
        return data.user_embeddings, data.item_embeddings
    return _factorise(data, config, seed, start)


def _given(path: str, option: str, kind: str, rows: int) -> np.ndarray:
    matrix = read_matrix(path)
    if len(matrix) != rows:
        raise ValueError(
            f"`{option}` must have one row for each of the {rows} {kind} of the data set. "
            f"Received: {path} with {len(matrix)} rows."
        )
    return matrix


def _factorise(
    data: ScenarioData,
    config: EmbeddingConfig,
    seed: int,
    start: tuple[np.ndarray, np.ndarray] | None,
) -> tuple[np.ndarray, np.ndarray]:
    if not len(data.background_users):
        raise ValueError(
            f"{data.name} has no background pairs to fit embeddings on. Set background_fraction "
            "above 0, or give user_file and item_file."
        )
    try:
        from implicit.cpu.als import AlternatingLeastSquares
        from scipy.sparse import csr_matrix
        from threadpoolctl import threadpool_limits
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "Matrix factorisation needs the package implicit, which is not installed. Run "
            "pip install 'cmml_tf[mf]', or give user_file and item_file."
        ) from None
    # c = 1 + alpha for an observed pair, 1 for the rest.
    confidence = np.full(len(data.background_users), 1.0 + config.alpha, np.float32)
    pairs = csr_matrix(
        (confidence, (data.background_users, data.background_items)),
        shape=(len(data.user_ids), len(data.item_ids)),
    )
    # BLAS threads would fight with those of implicit, which warns of it, and change the sums'
    # order. Implicit's own threads solve one row each, so their number changes no bit.
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=config.dimension,
            regularization=config.regularization,
            iterations=config.iterations if start is None else _SWEEPS_FROM_START,
            random_state=seed,
        )
        if start is not None:
            model.user_factors = _grown(start[0], len(data.user_ids))
            model.item_factors = _grown(start[1], len(data.item_ids))
        model.fit(pairs, show_progress=False)
    user = _scaled(model.user_factors, data.background_users, config.root_mean_square)
    item = _scaled(model.item_factors, data.background_items, config.root_mean_square)
    if start is None:
        return user, item
    # Orthogonal Procrustes: no product changes.
    product = user[: len(start[0])].T @ start[0] + item[: len(start[1])].T @ start[1]
    left, _, right = np.linalg.svd(product.astype(np.float64))
    turn = (left @ right).astype(np.float32)
    return user @ turn, item @ turn


def _grown(embeddings: np.ndarray, rows: int) -> np.ndarray:
    """The embeddings with zeros behind them, float32 [rows, d]; a sweep finds what they become."""
    return np.pad(np.asarray(embeddings, np.float32), ((0, rows - len(embeddings)), (0, 0)))


def _scaled(factors: np.ndarray, fitted: np.ndarray, root_mean_square: float) -> np.ndarray:
    rows = np.unique(fitted)
    scale = root_mean_square / np.sqrt(np.mean(np.square(factors[rows], dtype=np.float64)))
    embeddings = np.zeros(factors.shape, np.float32)
    embeddings[rows] = factors[rows] * np.float32(scale)
    return embeddings
