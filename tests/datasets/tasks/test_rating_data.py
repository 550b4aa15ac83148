"""Users as tasks: features of MovieLens, splits, task files, and what is refused."""

import gzip
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from cmml_tf.config import ReadConfig
from cmml_tf.config.rating import RatingDataConfig
from cmml_tf.datasets.open_rating_data import open_rating_data

SMALL = RatingDataConfig(query=2, min_ratings=4, max_ratings=6, validation_fraction=0.2)
USERS, MOVIES = 20, 9


def write_ml1m(folder, ratings=None, extra=True, users=True):
    if ratings is None:
        ratings = [
            (u, 1 + (u * 3 + k) % MOVIES, 1 + (u + k) % 5)
            for u in range(1, USERS + 1)
            for k in range(4 + u % 4)
        ]
    lines = "".join(f"{u}::{m}::{r}::0\n" for u, m, r in ratings)
    (folder / "ratings.dat").write_text(lines)
    movies = [f"{m}::Café {m} (19{80 + m})::Drama|Comedy\n" for m in range(1, MOVIES + 1)]
    (folder / "movies.dat").write_bytes("".join(movies).encode("latin-1"))
    if extra:
        lines = [
            f"{m}::Café::1990::R::x::Drama, War::Ann É, Bob::w::{'A, B' if m > 1 else ''}::p::q\n"
            for m in range(1, MOVIES + 1)
        ]
        (folder / "movies_extrainfos.dat").write_bytes("".join(lines).encode("latin-1"))
    if users:
        lines = [f"{u}::{'FM'[u % 2]}::{u % 3}::1::{u:05}\n" for u in range(1, USERS + 1)]
        (folder / "users.dat").write_text("".join(lines))
    return str(folder)


def names(columns):
    return [column.feature.name for column in columns]


def test_movielens_1m_has_the_features_of_melu_where_its_file_is(tmp_path):
    data = open_rating_data(write_ml1m(tmp_path), SMALL, 0)
    assert names(data.item_columns) == ["id", "rate", "genre", "director", "actor"]
    assert names(data.user_columns) == ["gender", "age", "occupation", "zip"]
    director, actor = data.item_columns[3:]
    assert director.feature.vocabulary == ("Ann É", "Bob")  # Latin-1 read as such
    assert np.diff(actor.starts).tolist() == [0, *[2] * (MOVIES - 1), 0]


def test_without_that_file_there_are_genre_and_decade(tmp_path):
    data = open_rating_data(write_ml1m(tmp_path, extra=False, users=False), SMALL, 0)
    assert names(data.item_columns) == ["id", "genre", "decade"]
    assert data.item_columns[1].feature.vocabulary == ("Comedy", "Drama")
    assert data.user_columns == ()


def test_parts_have_different_users_and_tasks_their_sizes(tmp_path):
    folder = write_ml1m(tmp_path)
    data = open_rating_data(folder, SMALL, 0)
    parts = [set(part.user.tolist()) for part in (data.meta_train, data.validation, data.meta_test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == USERS
    for part in (data.meta_train, data.validation, data.meta_test):
        assert part.lengths.min() >= 4
        assert part.lengths.max() <= 6
    assert open_rating_data(folder, SMALL, 0).fingerprint() == data.fingerprint()
    assert open_rating_data(folder, SMALL, 1).fingerprint() != data.fingerprint()


def test_cold_users_are_the_first_by_id(tmp_path):
    config = replace(SMALL, split="cold-warm", validation_fraction=0.0)
    data = open_rating_data(write_ml1m(tmp_path), config, 0)
    assert data.user_ids[data.meta_train.user].tolist() == list(range(1, 11))
    assert data.user_ids[data.meta_test.user].min() > 10
    assert len(data.meta_test) == 4


def test_listed_users_are_asked(tmp_path):
    folder = write_ml1m(tmp_path)
    (tmp_path / "asked.txt").write_text("3\n17\n")
    config = replace(SMALL, meta_test_users=str(tmp_path / "asked.txt"))
    data = open_rating_data(folder, config, 0)
    assert data.user_ids[data.meta_test.user].tolist() == [3, 17]


HEADER = "user,part,movie,rating,role\n"
TRAINED = "".join(f"{u},meta_train,{m},3,pool\n" for u in range(1, 11) for m in range(1, 5))
ASKED = "12,meta_test,5,1,support\n12,meta_test,1,2,query\n12,meta_test,9,4,query\n"


def with_tasks(folder, text):
    write_ml1m(folder)
    (folder / "tasks.csv").write_text(text)
    return open_rating_data(str(folder), replace(SMALL, tasks=str(folder / "tasks.csv")), 0)


def test_given_tasks_are_kept_with_the_query_last(tmp_path):
    shuffled = ASKED.splitlines(keepends=True)
    data = with_tasks(tmp_path, HEADER + shuffled[1] + TRAINED + shuffled[0] + shuffled[2])
    assert data.item_ids[data.meta_test.item].tolist() == [5, 1, 9]
    assert data.meta_test.rating.tolist() == [1, 2, 4]
    assert len(data.meta_train) + len(data.validation) == 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("12,meta_test,1,2,query", "12,meta_test,1,9,query"), "must lie between 0.5 and 5"),
        (("12,meta_test,1,2,query\n", ""), "must have at least 3 ratings.*Received: 2 of user 12"),
        (("9,4,query", "9,4,support"), "2 lines of role query.*Received: 1 of user 12"),
        (("9,4,query", "1,4,query"), "must rate an item once.*user 12"),
        (("12,meta_test,5", "12,meta_train,5"), "`role` of part meta_train must be pool"),
        (("12,meta_test,5", "12,test,5"), "`part` must be meta_train or meta_test.*'test'"),
        (("12,meta_test,5", "12,meta_test,55"), "item 55 of .* is not in the data set"),
        (("1,meta_train,1,3,pool", "12,meta_train,2,3,pool"), "in one part .*only.*12 in both"),
        (("movie", "film"), "must have a column 'movie'"),
        (("5,1,support", "5,one,support"), "Line .* must hold"),
    ],
)
def test_faulty_task_files_are_named(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        with_tasks(tmp_path, (HEADER + TRAINED + ASKED).replace(*change))


def test_ratings_outside_the_scale_are_refused(tmp_path):
    folder = write_ml1m(tmp_path, ratings=[(1, 2, 3), (1, 3, 6)])
    with pytest.raises(ValueError, match=r"between 0\.5 and 5 .*Received: 6 of user 1.* item 3"):
        open_rating_data(folder, SMALL, 0)


def test_too_few_ratings_are_refused(tmp_path):
    folder = write_ml1m(tmp_path, ratings=[(1, m, 3) for m in (1, 2, 3)])
    with pytest.raises(ValueError, match=r"No user has 4 ratings.*The most any user has: 3"):
        open_rating_data(folder, SMALL, 0)
    folder = write_ml1m(tmp_path, ratings=[(1, m, 3) for m in (1, 2, 3, 4)])
    with pytest.raises(ValueError, match=r"users to learn from and others to ask.*0 and 1"):
        open_rating_data(folder, SMALL, 0)


def test_a_user_who_rated_twice_is_taken_at_the_last_word(tmp_path):
    ratings = [(u, m, 3) for u in range(1, 7) for m in range(1, 5)] + [(2, 1, 5)]
    data = open_rating_data(write_ml1m(tmp_path, ratings=ratings), SMALL, 0)
    parts = (data.meta_train, data.validation, data.meta_test)
    assert sum(len(part.item) for part in parts) == 24
    assert sum((part.rating == 5).sum() for part in parts) == 1


@pytest.mark.parametrize("name", ["movies.dat", "users.dat", "movies_extrainfos.dat"])
def test_damaged_lines_are_numbered(tmp_path, name):
    folder = write_ml1m(tmp_path)
    lines = (tmp_path / name).read_bytes().splitlines(keepends=True)
    (tmp_path / name).write_bytes(b"".join([lines[0], b"2::half\n", *lines[2:]]))
    with pytest.raises(ValueError, match=rf"Line 2 of .*{name} must hold \d+ fields"):
        open_rating_data(folder, SMALL, 0)


@pytest.mark.parametrize(
    ("name", "separator", "message"),
    [
        ("ratings.dat", ",", r"Line 1 of .*ratings\.dat must hold user, item.* with '::' between"),
        ("ratings.dat", ":", r"Line 1 of .*ratings\.dat must hold user, item.* with '::' between"),
        ("movies.dat", "|", r"Line 1 of .*movies\.dat must hold 3 fields with '::' between"),
        ("users.dat", ",", r"Line 1 of .*users\.dat must hold 5 fields with '::' between"),
    ],
)
def test_another_separator_is_refused(tmp_path, name, separator, message):
    folder = write_ml1m(tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes().replace(b"::", separator.encode()))
    with pytest.raises(ValueError, match=message):
        open_rating_data(folder, SMALL, 0)


@pytest.mark.parametrize(("name", "fields"), [("movies.dat", 3), ("movies_extrainfos.dat", 11)])
def test_a_separator_inside_a_title_is_refused(tmp_path, name, fields):
    """It would move all fields behind it: the plot taken for the genre."""
    folder = write_ml1m(tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes().replace("Café".encode("latin-1"), b"Face::Off", 1))
    with pytest.raises(ValueError, match=rf"Line 1 of .*{name} must hold {fields} fields"):
        open_rating_data(folder, SMALL, 0)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-8-sig"])
def test_usual_encodings_give_the_same_names(tmp_path, encoding):
    folder = write_ml1m(tmp_path)
    for name in ("movies.dat", "movies_extrainfos.dat", "users.dat"):
        text = (tmp_path / name).read_bytes().decode("latin-1")
        (tmp_path / name).write_bytes(text.encode(encoding))
    data = open_rating_data(folder, SMALL, 0)
    assert data.item_columns[3].feature.vocabulary == ("Ann É", "Bob")
    assert data.item_ids.tolist() == list(range(1, MOVIES + 1))


def test_another_encoding_is_refused(tmp_path):
    folder = write_ml1m(tmp_path)
    path = tmp_path / "users.dat"
    path.write_bytes(path.read_text().encode("utf-16"))
    with pytest.raises(ValueError, match=r"users\.dat is text in UTF-16"):
        open_rating_data(folder, SMALL, 0)


def test_a_rated_movie_without_a_line_has_unknown_values(tmp_path):
    ratings = [(u, m, 3) for u in range(1, USERS + 1) for m in (1, 2, 3, 77)]
    folder = write_ml1m(tmp_path, ratings=ratings, extra=False)
    data = open_rating_data(folder, SMALL, 0)
    row = data.item_ids.tolist().index(77)
    genre, decade = data.item_columns[1:]
    assert np.diff(genre.starts)[row] == 0
    assert decade.values[row] == len(decade.feature.vocabulary)


def test_missing_files_and_names_are_refused(tmp_path):
    folder = write_ml1m(tmp_path)
    for option in ("tasks", "meta_test_users"):
        config = replace(SMALL, **{option: str(tmp_path / "absent")})
        with pytest.raises(FileNotFoundError, match="absent"):
            open_rating_data(folder, config, 0)
    with pytest.raises(
        ValueError, match=r"`data` must be movielens-small.*Received: data='no-such'"
    ):
        open_rating_data("no-such", SMALL, 0)
    (tmp_path / "asked.txt").write_text("3\n999\n")
    config = replace(SMALL, meta_test_users=str(tmp_path / "asked.txt"))
    with pytest.raises(ValueError, match=r"The user 999 of .*asked\.txt is not in the data set"):
        open_rating_data(folder, config, 0)
    (tmp_path / "movies.dat").unlink()
    with pytest.raises(FileNotFoundError, match=r"movies\.dat is missing"):
        open_rating_data(folder, SMALL, 0)


def test_a_folder_may_declare_its_own_features(tmp_path):
    rows = [(f"u{u}", f"i{(u + k) % 8}", 1 + k) for u in range(10) for k in range(5)]
    ratings = "".join(f"{u},{i},{r}\n" for u, i, r in rows)
    (tmp_path / "ratings.csv").write_text("user,item,value\n" + ratings)
    items = "".join(f"i{k},a|b,{k}.5\n" for k in range(8))
    (tmp_path / "items.csv").write_text("item,colour,price\n" + items)
    (tmp_path / "users.csv").write_text("user,country\nu1,DE\nu2,FR\n")
    declared = tmp_path / "features.yaml"
    declared.write_text(
        "items: {colour: multi-hot, price: numeric}\nusers: {country: categorical}\n"
    )
    data = open_rating_data(str(tmp_path), SMALL, 0)
    assert names(data.item_columns) == ["id", "colour", "price"]
    assert data.item_columns[1].feature.vocabulary == ("a", "b")
    assert data.user_columns[0].values.tolist() == [2, 0, 1, *[2] * 8]

    for text, message in (
        ("items: {colour: list}", "kind of 'colour' .*Received: 'list'"),
        (
            "items: {size: numeric}",
            "must have a column 'size' in its first line; missing: size. Received: item, colour, "
            r"price. Add such a column, or take the name out of .*features\.yaml\.$",
        ),
        ("items: {colour: numeric}", r"Column 'colour' .* must hold finite numbers.*'a\|b'"),
        ("things: {}", "must have the groups items and users"),
        ("items: [colour]", "must name features and their kinds"),
        ("items: {item: categorical}", "must not be named 'item'"),
    ):
        declared.write_text(text)
        with pytest.raises(ValueError, match=message):
            open_rating_data(str(tmp_path), SMALL, 0)


def test_own_tables_of_any_form_under_names_that_are_given(tmp_path):
    rows = [(f"u{u}", f"i{(u + k) % 8}", 1 + k) for u in range(10) for k in range(5)]
    lines = "".join(f"{i};{u};{r}\n" for u, i, r in rows)
    (tmp_path / "ratings").mkdir()
    (tmp_path / "ratings" / "part-0.csv").write_text("sku;customer;stars\nx;;3\n" + lines)
    items = "".join(f"i{k}\t{k}.5\n" for k in range(8))
    (tmp_path / "items.tsv.gz").write_bytes(gzip.compress(("SKU\tvalue\n" + items).encode()))
    users = pd.DataFrame({"user_id": [f"u{n}" for n in range(10)], "country": "DE"})
    users["height"] = [1.5, *[1.0] * 9]  # floats, as parquet has them
    users.to_parquet(tmp_path / "users.parquet")
    (tmp_path / "features.yaml").write_text(
        "items: {value: numeric}\nusers: {country: categorical, height: numeric}\n"
    )
    read = ReadConfig(columns="user=customer,item=sku,value=stars", max_malformed=1)
    data = open_rating_data(str(tmp_path), SMALL, 0, read=read)
    assert data.user_ids.tolist() == [f"u{n}" for n in range(10)]
    assert names(data.item_columns) == ["id", "value"]
    assert data.user_columns[0].values.tolist() == [0] * 10 + [1]
    height = data.user_columns[1].values
    assert height[0] == height.max() > height[1] == height[9]
    assert data.counts["malformed lines, left out"] == 1
    with pytest.raises(ValueError, match=r"Line 2 of .*part-0\.csv.*column 'user' is empty"):
        open_rating_data(str(tmp_path), SMALL, 0, read=ReadConfig(columns=read.columns))


@pytest.mark.parametrize(
    "kind", [pa.float64(), pa.float32(), pa.float16(), pa.decimal128(9, 3), pa.int16(), pa.string()]
)
def test_numbers_of_a_parquet_table_are_features(tmp_path, kind):
    ratings = "".join(f"{u},{(u + k) % 8},{1 + k}\n" for u in range(10) for k in range(5))
    (tmp_path / "ratings.csv").write_text("user,item,value\n" + ratings)
    (tmp_path / "features.yaml").write_text("items: {price: numeric, year: categorical}\n")
    prices = [0.25, 1.5, 3.0, 1e-3, None, -2.0, 1e4, 0.125]
    if pa.types.is_integer(kind):
        prices = [None if price is None else round(price) for price in prices]
    half = pa.types.is_float16(kind)
    column = pa.array(np.array(prices, np.float16)) if half else pa.array(prices).cast(kind)
    years = pa.array([1990.0, np.nan, 1991.0] + [1990.0] * 5)
    table = pa.table({"item": list(range(8)), "price": column, "year": years})
    pa.parquet.write_table(table, tmp_path / "items.parquet", row_group_size=3)
    data = open_rating_data(str(tmp_path), SMALL, 0)
    price, year = data.item_columns[1:]
    assert year.feature.vocabulary == ("1990", "1991")
    known = np.array([np.nan if p is None else p for p in prices])
    known[4] = np.nanmean(known)
    expected = (known - known[4]) / np.std(np.delete(known, 4))
    np.testing.assert_allclose(price.values[:8], expected, atol=1e-4)


def test_infinite_numbers_of_a_parquet_table_are_named(tmp_path):
    ratings = "".join(f"{u},{(u + k) % 8},{1 + k}\n" for u in range(10) for k in range(5))
    (tmp_path / "ratings.csv").write_text("user,item,value\n" + ratings)
    (tmp_path / "features.yaml").write_text("items: {price: numeric}\n")
    prices = [0.25, 1.5, np.inf, 1.0, 2.0, 3.0, 4.0, 5.0]
    pd.DataFrame({"item": range(8), "price": prices}).to_parquet(tmp_path / "items.parquet")
    said = (
        r"Column 'price' of .*items\.parquet must hold finite numbers.*'inf' in row 3 .*that of 2"
    )
    with pytest.raises(ValueError, match=said):
        open_rating_data(str(tmp_path), SMALL, 0)


def test_ids_of_a_rating_off_the_scale_are_told_as_they_are(tmp_path):
    ratings = "".join(f"{u + 2**60},{(u + k) % 8},{1 + k}\n" for u in range(10) for k in range(6))
    (tmp_path / "ratings.csv").write_text("user,item,value\n" + ratings)
    (tmp_path / "features.yaml").write_text("{}\n")
    with pytest.raises(ValueError, match=f"Received: 6 of user {2**60} for item 5; there are 10"):
        open_rating_data(str(tmp_path), SMALL, 0)


def test_a_faulty_table_of_features_is_named(tmp_path):
    ratings = "".join(f"{u},{(u + k) % 8},{1 + k}\n" for u in range(10) for k in range(5))
    (tmp_path / "ratings.csv").write_text("user,item,value\n" + ratings)
    (tmp_path / "features.yaml").write_text("items: {colour: multi-hot}\n")
    for content, message in (
        (
            "item,colour\n1,caf\xe9\n".encode("latin-1"),
            r"Line 2 of .*items\.csv.*'colour' is not UTF-8",
        ),
        (b"item,colour\n1,a\n2,b,c\n", r"Line 3 of .*items\.csv must hold .*3 fields"),
        (b"", r"items\.csv is empty"),
        (b"item,colour\n1,a\n1,b\n", r"items\.csv must have each item once.*'1'"),
    ):
        (tmp_path / "items.csv").write_bytes(content)
        with pytest.raises(ValueError, match=message):
            open_rating_data(str(tmp_path), SMALL, 0)
    # Ids are text where one of ratings.csv is: 1 there and 1 here are the same.
    (tmp_path / "ratings.csv").write_text("user,item,value\n" + ratings.replace(",0,", ",x,"))
    (tmp_path / "items.csv").write_bytes(b"item,colour\n1,a\n2,b\n")
    data = open_rating_data(str(tmp_path), SMALL, 0)
    assert sorted(data.item_ids.tolist()) == [*map(str, range(1, 8)), "x"]
    assert np.diff(data.item_columns[1].starts).sum() == 2


def test_the_embedded_data_set_needs_nothing_else():
    data = open_rating_data("movielens-small", RatingDataConfig(), 0)
    assert names(data.item_columns) == ["id", "genre", "decade"]
    assert data.user_columns == ()
    assert len(data.meta_test) > 100


def test_whatever_is_left_out_is_counted(tmp_path):
    config = replace(SMALL, min_ratings=5, split="cold-warm", validation_fraction=0.0)
    ratings = [(u, m, 1 + u % 5) for u in range(1, 17) for m in range(1, 4 + u % 4 + 1)]
    ratings += [(1, 1, 5), (1, 1, 4)]  # rated three times
    counts = open_rating_data(write_ml1m(tmp_path, ratings), config, 0).counts
    assert counts["ratings read"] == len(ratings)
    assert counts["repeated ratings of a user and item, the last counts"] == 2
    assert counts["users without a rating"] == 4
    assert counts["items without a rating"] == 2
    # Of 16 users four have 4, 5, 6 and 7 ratings each.
    assert counts["users with fewer than 5 ratings (tasks.min_ratings), left out"] == 4
    assert counts["ratings of these users, left out"] == 16
    assert counts["ratings of a user beyond 6 (tasks.max_ratings), left out"] == 4
    neither = counts["users neither learned from nor asked (split cold-warm)"]
    assert counts["meta-training users"] + counts["meta-test users"] + neither == 12
    assert neither > 0


def test_what_a_task_file_does_not_name_is_counted(tmp_path):
    folder = write_ml1m(tmp_path)
    lines = [f"1,meta_train,{m},3,pool" for m in (4, 5, 6)]
    lines += [
        f"2,meta_test,{m},3,{role}" for m, role in ((7, "support"), (8, "query"), (9, "query"))
    ]
    tasks = tmp_path / "tasks.csv"
    tasks.write_text("user,part,movie,rating,role\n" + "\n".join(lines) + "\n")
    config = replace(SMALL, tasks=str(tasks), validation_fraction=0.0)
    counts = open_rating_data(folder, config, 0).counts
    assert counts["users that the task file does not name, left out"] == USERS - 2
    read = counts["ratings read"]
    assert counts["ratings that the task file does not name, left out"] == read - 6
