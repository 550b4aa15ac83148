"""The forms of the library's settings by name. No TensorFlow."""

from cmml_tf.settings.form import SettingForm
from cmml_tf.settings.rating.form import RATING
from cmml_tf.settings.scenario.form import SCENARIO

FORMS: dict[str, SettingForm] = {form.name: form for form in (SCENARIO, RATING)}
"""`scenario` and `user`."""
