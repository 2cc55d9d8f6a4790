CREATE TABLE filter_specs (
    id         text        NOT NULL PRIMARY KEY,
    text       text        NOT NULL,
    enabled    boolean     NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text        NOT NULL DEFAULT '',
    changed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE filter_specs IS 'Filter specs beside those in files; both are one set.';
COMMENT ON COLUMN filter_specs.id IS 'As the text says it; no file may have it too.';
COMMENT ON COLUMN filter_specs.text IS 'YAML of this spec alone.';
COMMENT ON COLUMN filter_specs.enabled IS 'It is in force, whatever the text says.';
COMMENT ON COLUMN filter_specs.created_at IS 'When it was added, our clock.';
COMMENT ON COLUMN filter_specs.created_by IS 'Who added it: a user of this machine or of the bot.';
COMMENT ON COLUMN filter_specs.changed_at IS 'When it was last added or switched, our clock.';

CREATE TABLE filter_generations (
    generation bigint      NOT NULL PRIMARY KEY,
    digest     text        NOT NULL,
    began_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE filter_generations IS 'Every set of specs that was put in force.';
COMMENT ON COLUMN filter_generations.generation IS 'Counts them, from 1.';
COMMENT ON COLUMN filter_generations.digest IS 'Of the contents of all specs in force.';
COMMENT ON COLUMN filter_generations.began_at IS 'When the first process took it up.';

-- A trigger and not the program tells of a change, so that one made by hand is heard, too.
CREATE FUNCTION candlewax_tell_filter_specs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('candlewax_filter_specs', '');
    RETURN NULL;
END
$$;
CREATE TRIGGER tell_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON filter_specs
    FOR EACH STATEMENT EXECUTE FUNCTION candlewax_tell_filter_specs();
