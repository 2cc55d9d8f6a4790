ALTER TABLE alerts
    ADD COLUMN chart   boolean NOT NULL DEFAULT false,
    ADD COLUMN clauses jsonb   NOT NULL DEFAULT '[]';
COMMENT ON COLUMN alerts.chart IS 'The spec wants a picture with the message.';
COMMENT ON COLUMN alerts.clauses IS 'Parts of the condition then: text, value, threshold, holds.';

ALTER TABLE outbox
    ADD COLUMN carried_by  bigint,
    ADD COLUMN waits_until timestamptz,
    ADD COLUMN escalates   text;
CREATE INDEX outbox_carried_by ON outbox (carried_by) WHERE carried_by IS NOT NULL;
CREATE INDEX outbox_fired_at ON outbox (fired_at);
COMMENT ON COLUMN outbox.carried_by IS 'The row whose message carries this one: a digest.';
COMMENT ON COLUMN outbox.waits_until IS 'Held until then, our clock; its age counts from there.';
COMMENT ON COLUMN outbox.escalates IS 'The target where nobody acknowledged the alert.';

CREATE TABLE alert_endings (
    key      text        NOT NULL PRIMARY KEY,
    ended_at timestamptz NOT NULL
);
COMMENT ON TABLE alert_endings IS 'When what an alert told was true no more.';
COMMENT ON COLUMN alert_endings.key IS 'alerts.key.';
COMMENT ON COLUMN alert_endings.ended_at IS 'Our time of the event that ended it.';

CREATE TABLE alert_acks (
    key      text        NOT NULL PRIMARY KEY,
    acked_at timestamptz NOT NULL,
    acked_by text        NOT NULL
);
COMMENT ON TABLE alert_acks IS 'Alerts that somebody has taken note of.';
COMMENT ON COLUMN alert_acks.key IS 'alerts.key.';
COMMENT ON COLUMN alert_acks.acked_at IS 'When, our clock.';
COMMENT ON COLUMN alert_acks.acked_by IS 'Name in [telegram.users], or who called the command.';

CREATE TABLE alert_mutes (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target     text,
    spec       text,
    symbol     text,
    ends_at    timestamptz,
    created_at timestamptz NOT NULL,
    created_by text        NOT NULL
);
COMMENT ON TABLE alert_mutes IS 'Alerts that are not to be sent; those that match are suppressed.';
COMMENT ON COLUMN alert_mutes.id IS 'Number by which people lift it.';
COMMENT ON COLUMN alert_mutes.target IS 'Only to this target; null for every one.';
COMMENT ON COLUMN alert_mutes.spec IS 'Only of this spec; null for every one.';
COMMENT ON COLUMN alert_mutes.symbol IS 'Only about this symbol; null for every one.';
COMMENT ON COLUMN alert_mutes.ends_at IS 'Until then, our clock; null until it is lifted.';
COMMENT ON COLUMN alert_mutes.created_at IS 'When it began, our clock.';
COMMENT ON COLUMN alert_mutes.created_by IS 'Name in [telegram.users].';

CREATE TABLE telegram_polls (
    bot         text        NOT NULL PRIMARY KEY,
    next_update bigint      NOT NULL,
    read_at     timestamptz NOT NULL
);
COMMENT ON TABLE telegram_polls IS 'How far each bot has read what people write to it.';
COMMENT ON COLUMN telegram_polls.bot IS 'Number of the bot, the part of its token that is public.';
COMMENT ON COLUMN telegram_polls.next_update IS 'Every update below this has been acted on.';
COMMENT ON COLUMN telegram_polls.read_at IS 'When the last update came, our clock.';
