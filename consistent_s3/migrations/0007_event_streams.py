from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("consistent_s3", "0006_newest_on_objects")]

    operations = [
        migrations.CreateModel(
            name="EventStream",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"))
            ],
            options={
                "verbose_name": "event stream",
                "verbose_name_plural": "event streams",
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
        migrations.AddField(
            model_name="collectionslice",
            name="streams",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
