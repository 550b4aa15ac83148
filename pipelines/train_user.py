"""Trains CMML for new users: `cmml train user` of a checkout."""

from cmml_tf.commands.train_user import main
from cmml_tf.program import run

if __name__ == "__main__":
    run(main)
