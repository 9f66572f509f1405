"""Prints rows of the django-rest-knox that is installed, and their tokens. Releases before 5 need an older Django, so record.py runs
this by other Pythons."""

import datetime
import json

import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework", "knox"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
)
django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.core.management import call_command  # noqa: E402
from knox.models import AuthToken  # noqa: E402

call_command("migrate", verbosity=0)
user = get_user_model().objects.create_user("user")
# Named expires in 3, and expiry since. By default a token lasts for ten hours, and its row would be refused then.
made = [AuthToken.objects.create(user, lasts) for lasts in (None, datetime.timedelta(days=25_000))]
# 3 returns the token alone.
tokens = [one if isinstance(one, str) else one[1] for one in made]
rows = {row["digest"]: row for row in AuthToken.objects.values()}
print(json.dumps({"rows": list(rows.values()), "keys": tokens}, default=str))
