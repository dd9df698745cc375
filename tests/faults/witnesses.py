"""What jobs did, written down by the database itself in the transaction that did it."""

WITNESSES = """
    CREATE SCHEMA faults;
    CREATE TABLE faults.starts (job uuid NOT NULL, attempt int NOT NULL, pid int NOT NULL);
    CREATE TABLE faults.effects (LIKE faults.starts);
    CREATE TABLE faults.claims (job uuid NOT NULL, attempt int NOT NULL, at timestamptz NOT NULL);
    CREATE INDEX ON faults.effects (job);
    CREATE INDEX ON faults.claims (job);
    GRANT USAGE ON SCHEMA faults TO neozork_tenant;
    GRANT INSERT ON faults.starts, faults.effects TO neozork_tenant;

    CREATE FUNCTION faults.note_claim() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql AS
    $$ BEGIN
        INSERT INTO faults.claims VALUES (NEW.id, NEW.attempt, clock_timestamp()); RETURN NULL;
    END $$;
    CREATE TRIGGER note_claim AFTER UPDATE ON neozork.jobs FOR EACH ROW
        WHEN (NEW.attempt > OLD.attempt AND NEW.status = 'running')
        EXECUTE FUNCTION faults.note_claim();

    CREATE FUNCTION faults.note_result() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql AS
    $$ BEGIN
        INSERT INTO faults.effects VALUES (NEW.job_id, 0, pg_backend_pid()); RETURN NULL;
    END $$;
"""


def results_of(schema: str) -> str:
    """Answer what has each result of a tenant's backtests noted as an effect of its job."""
    return f"""
        CREATE TRIGGER note_result AFTER UPDATE ON {schema}.backtests FOR EACH ROW
            WHEN (NEW.result_id IS NOT NULL) EXECUTE FUNCTION faults.note_result()
    """
