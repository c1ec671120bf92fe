"""The first tables."""

from django.db import migrations, models

import shop.models


class Migration(migrations.Migration):
    initial = True

    operations = (
        migrations.CreateModel(
            name="Design",
            fields=[
                (
                    "id",
                    models.CharField(default=shop.models.design_id, max_length=40, primary_key=True, serialize=False),
                ),
                ("motif", models.CharField(max_length=500)),
                ("approved", models.BooleanField(default=False)),
            ],
        ),
        migrations.CreateModel(
            name="Order",
            fields=[
                (
                    "id",
                    models.CharField(default=shop.models.order_id, max_length=40, primary_key=True, serialize=False),
                ),
                ("tier", models.CharField(max_length=20)),
                ("currency", models.CharField(max_length=3)),
                ("design_id", models.CharField(blank=True, max_length=40)),
                ("session_id", models.CharField(blank=True, db_index=True, max_length=100)),
                ("status", models.CharField(default="open", max_length=20)),
            ],
        ),
    )
