--
-- PostgreSQL database dump
--


-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: trial; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.trial (
    id integer NOT NULL,
    experiment_id integer NOT NULL,
    index integer NOT NULL,
    generation_id integer,
    parameters json NOT NULL,
    parameter_hash character varying(64) NOT NULL,
    status smallint NOT NULL,
    status_reason text,
    created_at timestamp with time zone NOT NULL,
    staged_at timestamp with time zone,
    run_started_at timestamp with time zone,
    completed_at timestamp with time zone,
    CONSTRAINT ck_trial_status CHECK ((status = ANY (ARRAY[0, 1, 2, 3, 4, 5, 7, 8])))
);


--
-- Name: TABLE trial; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.trial IS 'One point of the space that is to be evaluated; has one final outcome.';


--
-- Name: COLUMN trial.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial.id IS 'Key';


--
-- Name: COLUMN trial.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial.experiment_id IS 'Experiment';


--
-- Name: COLUMN trial.index; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial.index IS 'Number within the experiment, from 0';


--
-- Name: COLUMN trial.generation_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial.generation_id IS 'The call that proposed it';


--
-- Name: COLUMN trial.parameters; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial.parameters IS 'Parameter values, by name';


--
-- Name: COLUMN trial.parameter_hash; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial.parameter_hash IS 'SHA-256 of the parameters';


--
-- Name: COLUMN trial.status; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial.status IS 'Ax''s trial status number';


--
-- Name: COLUMN trial.status_reason; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial.status_reason IS 'Why it failed or was abandoned';


--
-- Name: COLUMN trial.created_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial.created_at IS 'When it was proposed';


--
-- Name: COLUMN trial.staged_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial.staged_at IS 'When its first attempt was planned';


--
-- Name: COLUMN trial.run_started_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial.run_started_at IS 'When a worker first claimed it';


--
-- Name: COLUMN trial.completed_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial.completed_at IS 'When its status became final';


--
-- Name: abandoned_arm_v2; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.abandoned_arm_v2 AS
 SELECT substr(t.status_reason, 1, 100) AS abandoned_reason,
    t.id,
    ((t.index)::text || '_0'::text) AS name,
    (floor(EXTRACT(epoch FROM COALESCE(t.completed_at, t.created_at))))::bigint AS time_abandoned,
    t.id AS trial_id
   FROM public.trial t
  WHERE (t.status = 5);


--
-- Name: VIEW abandoned_arm_v2; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.abandoned_arm_v2 IS 'Ax''s abandoned arms: one row an abandoned trial.';


--
-- Name: COLUMN abandoned_arm_v2.abandoned_reason; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.abandoned_arm_v2.abandoned_reason IS 'Why it was abandoned, 100 characters';


--
-- Name: COLUMN abandoned_arm_v2.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.abandoned_arm_v2.id IS 'Key: trial.id';


--
-- Name: COLUMN abandoned_arm_v2.name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.abandoned_arm_v2.name IS 'INDEX_0';


--
-- Name: COLUMN abandoned_arm_v2.time_abandoned; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.abandoned_arm_v2.time_abandoned IS 'When it was abandoned, seconds since 1970';


--
-- Name: COLUMN abandoned_arm_v2.trial_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.abandoned_arm_v2.trial_id IS 'The trial: trial_v2.id';


--
-- Name: alembic_version; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);


--
-- Name: card; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.card (
    id integer NOT NULL,
    experiment_id integer NOT NULL,
    parent_id integer,
    "position" integer,
    name character varying(100) NOT NULL,
    title character varying(255) NOT NULL,
    subtitle text,
    category character varying(100),
    kind character varying(20) NOT NULL,
    data_frame json,
    blob text,
    attributes json,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_card_cardkind CHECK (((kind)::text = ANY ((ARRAY['TABLE'::character varying, 'PLOTLY'::character varying, 'MARKDOWN'::character varying])::text[])))
);


--
-- Name: TABLE card; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.card IS 'One analysis of an experiment: a table, a figure or a text.';


--
-- Name: COLUMN card.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.card.id IS 'Key';


--
-- Name: COLUMN card.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.card.experiment_id IS 'Experiment';


--
-- Name: COLUMN card.parent_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.card.parent_id IS 'The card that this one is a part of';


--
-- Name: COLUMN card."position"; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.card."position" IS 'Order among the parts of its parent';


--
-- Name: COLUMN card.name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.card.name IS 'The analysis that made it';


--
-- Name: COLUMN card.title; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.card.title IS 'Title';


--
-- Name: COLUMN card.subtitle; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.card.subtitle IS 'What it shows, in a sentence';


--
-- Name: COLUMN card.category; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.card.category IS 'Cards that belong together';


--
-- Name: COLUMN card.kind; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.card.kind IS 'What the blob is';


--
-- Name: COLUMN card.data_frame; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.card.data_frame IS 'The numbers, column by column';


--
-- Name: COLUMN card.blob; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.card.blob IS 'Plotly''s JSON, or Markdown';


--
-- Name: COLUMN card.attributes; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.card.attributes IS 'Anything else';


--
-- Name: COLUMN card.created_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.card.created_at IS 'When it was made';


--
-- Name: analysis_card; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.analysis_card AS
 SELECT c.id,
    c.experiment_id,
    c.name,
    c.title,
    COALESCE(c.subtitle, ''::text) AS subtitle,
    COALESCE(NULLIF((c.data_frame)::text, 'null'::text), '{}'::text) AS dataframe_json,
    COALESCE(c.blob, ''::text) AS blob,
        CASE c.kind
            WHEN 'TABLE'::text THEN 'dataframe'::text
            ELSE lower((c.kind)::text)
        END AS blob_annotation,
    d.level,
    (floor(EXTRACT(epoch FROM c.created_at)))::bigint AS time_created,
    COALESCE(NULLIF((c.attributes)::text, 'null'::text), '{}'::text) AS attributes,
    c.category
   FROM (public.card c
     JOIN ( WITH RECURSIVE deep(id, level) AS (
                 SELECT r.id,
                    0 AS "?column?"
                   FROM public.card r
                  WHERE (r.parent_id IS NULL)
                UNION ALL
                 SELECT r.id,
                    (deep_1.level + 1)
                   FROM (public.card r
                     JOIN deep deep_1 ON ((deep_1.id = r.parent_id)))
                )
         SELECT deep.id,
            deep.level
           FROM deep) d ON ((d.id = c.id)));


--
-- Name: VIEW analysis_card; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.analysis_card IS 'OmniOpt2''s analysis cards: one row a card.';


--
-- Name: COLUMN analysis_card.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.analysis_card.id IS 'Key: card.id';


--
-- Name: COLUMN analysis_card.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.analysis_card.experiment_id IS 'The experiment: experiment_v2.id';


--
-- Name: COLUMN analysis_card.name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.analysis_card.name IS 'The analysis that made it';


--
-- Name: COLUMN analysis_card.title; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.analysis_card.title IS 'Title';


--
-- Name: COLUMN analysis_card.subtitle; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.analysis_card.subtitle IS 'What it shows, in a sentence';


--
-- Name: COLUMN analysis_card.dataframe_json; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.analysis_card.dataframe_json IS 'The numbers as JSON, column by column';


--
-- Name: COLUMN analysis_card.blob; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.analysis_card.blob IS 'Plotly''s JSON, or Markdown';


--
-- Name: COLUMN analysis_card.blob_annotation; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.analysis_card.blob_annotation IS 'dataframe, plotly or markdown';


--
-- Name: COLUMN analysis_card.level; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.analysis_card.level IS '0 for a card of its own, 1 for a part of one, and so on';


--
-- Name: COLUMN analysis_card.time_created; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.analysis_card.time_created IS 'When it was made, seconds since 1970';


--
-- Name: COLUMN analysis_card.attributes; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.analysis_card.attributes IS 'Anything else, as JSON';


--
-- Name: COLUMN analysis_card.category; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.analysis_card.category IS 'Cards that belong together';


--
-- Name: analysis_card_v2; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.analysis_card_v2 AS
 SELECT c.id,
    c.experiment_id,
    c.name,
    c.title,
    COALESCE(c.subtitle, ''::text) AS subtitle,
    COALESCE(NULLIF((c.data_frame)::text, 'null'::text), '{}'::text) AS dataframe_json,
    COALESCE(c.blob, ''::text) AS blob,
        CASE c.kind
            WHEN 'TABLE'::text THEN 'dataframe'::text
            ELSE lower((c.kind)::text)
        END AS blob_annotation,
    (floor(EXTRACT(epoch FROM c.created_at)))::bigint AS "timestamp",
    c.parent_id,
    c."position" AS "order"
   FROM public.card c;


--
-- Name: VIEW analysis_card_v2; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.analysis_card_v2 IS 'Ax''s analysis cards: one row a card.';


--
-- Name: COLUMN analysis_card_v2.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.analysis_card_v2.id IS 'Key: card.id';


--
-- Name: COLUMN analysis_card_v2.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.analysis_card_v2.experiment_id IS 'The experiment: experiment_v2.id';


--
-- Name: COLUMN analysis_card_v2.name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.analysis_card_v2.name IS 'The analysis that made it';


--
-- Name: COLUMN analysis_card_v2.title; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.analysis_card_v2.title IS 'Title';


--
-- Name: COLUMN analysis_card_v2.subtitle; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.analysis_card_v2.subtitle IS 'What it shows, in a sentence';


--
-- Name: COLUMN analysis_card_v2.dataframe_json; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.analysis_card_v2.dataframe_json IS 'The numbers as JSON, column by column';


--
-- Name: COLUMN analysis_card_v2.blob; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.analysis_card_v2.blob IS 'Plotly''s JSON, or Markdown';


--
-- Name: COLUMN analysis_card_v2.blob_annotation; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.analysis_card_v2.blob_annotation IS 'dataframe, plotly or markdown';


--
-- Name: COLUMN analysis_card_v2."timestamp"; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.analysis_card_v2."timestamp" IS 'When it was made, seconds since 1970';


--
-- Name: COLUMN analysis_card_v2.parent_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.analysis_card_v2.parent_id IS 'The card that it is a part of';


--
-- Name: COLUMN analysis_card_v2."order"; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.analysis_card_v2."order" IS 'Order among the parts of its parent';


--
-- Name: arm_v2; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.arm_v2 AS
 SELECT t.id AS generator_run_id,
    t.id,
    ((t.index)::text || '_0'::text) AS name,
    NULLIF((t.parameters)::text, 'null'::text) AS parameters,
    (1)::double precision AS weight,
    t.experiment_id,
    t.id AS trial_id,
    (floor(EXTRACT(epoch FROM t.created_at)))::bigint AS time_created,
    NULL::bigint AS time_removed,
    '{}'::text AS properties
   FROM public.trial t;


--
-- Name: VIEW arm_v2; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.arm_v2 IS 'Ax''s arms: one row a trial.';


--
-- Name: COLUMN arm_v2.generator_run_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.arm_v2.generator_run_id IS 'Its generator run: generator_run_v2.id';


--
-- Name: COLUMN arm_v2.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.arm_v2.id IS 'Key: trial.id';


--
-- Name: COLUMN arm_v2.name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.arm_v2.name IS 'INDEX_0';


--
-- Name: COLUMN arm_v2.parameters; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.arm_v2.parameters IS 'Parameter values by name, as JSON';


--
-- Name: COLUMN arm_v2.weight; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.arm_v2.weight IS 'Always 1';


--
-- Name: COLUMN arm_v2.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.arm_v2.experiment_id IS 'The experiment: experiment_v2.id';


--
-- Name: COLUMN arm_v2.trial_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.arm_v2.trial_id IS 'The trial: trial_v2.id';


--
-- Name: COLUMN arm_v2.time_created; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.arm_v2.time_created IS 'When it was proposed, seconds since 1970';


--
-- Name: COLUMN arm_v2.time_removed; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.arm_v2.time_removed IS 'Always NULL: no arm is ever removed';


--
-- Name: COLUMN arm_v2.properties; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.arm_v2.properties IS 'Always {}: the other columns say all';


--
-- Name: artifact; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.artifact (
    id integer NOT NULL,
    trial_id integer NOT NULL,
    attempt_id integer NOT NULL,
    name text NOT NULL,
    url text NOT NULL,
    format character varying(20),
    bytes bigint,
    sha256 character varying(64)
);


--
-- Name: TABLE artifact; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.artifact IS 'A file that a trial made and named in an ARTIFACT line.';


--
-- Name: COLUMN artifact.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.artifact.id IS 'Key';


--
-- Name: COLUMN artifact.trial_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.artifact.trial_id IS 'Trial';


--
-- Name: COLUMN artifact.attempt_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.artifact.attempt_id IS 'The attempt that made it';


--
-- Name: COLUMN artifact.name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.artifact.name IS 'Name; the file''s own unless the line gave another';


--
-- Name: COLUMN artifact.url; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.artifact.url IS 'Where it is, as file:// URL';


--
-- Name: COLUMN artifact.format; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.artifact.format IS 'Ending of the file''s name';


--
-- Name: COLUMN artifact.bytes; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.artifact.bytes IS 'Size when it was reported';


--
-- Name: COLUMN artifact.sha256; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.artifact.sha256 IS 'Digest when it was reported';


--
-- Name: artifact_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.artifact_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: artifact_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.artifact_id_seq OWNED BY public.artifact.id;


--
-- Name: attempt; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.attempt (
    id integer NOT NULL,
    trial_id integer NOT NULL,
    submission_id integer,
    array_index integer NOT NULL,
    restart integer DEFAULT 0 NOT NULL,
    number integer NOT NULL,
    token character varying(40) NOT NULL,
    claim character varying(40),
    state character varying(20) NOT NULL,
    slurm_job_id character varying(60),
    cluster character varying(60),
    host character varying(255),
    requested json,
    measured json,
    infos json,
    exit_code integer,
    signal integer,
    slurm_state character varying(40),
    failure_class character varying(20),
    failure_name character varying(80),
    failure_message text,
    failure_action text,
    failure_evidence json,
    log_path text,
    created_at timestamp with time zone NOT NULL,
    submitted_at timestamp with time zone,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    heartbeat_at timestamp with time zone,
    CONSTRAINT ck_attempt_attemptstate CHECK (((state)::text = ANY ((ARRAY['PLANNED'::character varying, 'SUBMITTED'::character varying, 'STARTED'::character varying, 'SUCCEEDED'::character varying, 'FAILED'::character varying, 'LOST'::character varying, 'CANCELLED'::character varying, 'SUPERSEDED'::character varying])::text[]))),
    CONSTRAINT ck_attempt_failureclass CHECK (((failure_class)::text = ANY ((ARRAY['PROGRAM'::character varying, 'NO_RESULT'::character varying, 'TIMEOUT'::character varying, 'OUT_OF_MEMORY'::character varying, 'PREEMPTED'::character varying, 'NODE'::character varying, 'LOST'::character varying, 'NO_DATABASE'::character varying, 'SUBMIT'::character varying, 'RULE'::character varying, 'CANCELLED'::character varying])::text[])))
);


--
-- Name: TABLE attempt; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.attempt IS 'One try to run a trial.';


--
-- Name: COLUMN attempt.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.id IS 'Key';


--
-- Name: COLUMN attempt.trial_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.trial_id IS 'The trial it tries to run';


--
-- Name: COLUMN attempt.submission_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.submission_id IS 'The submission that carries it';


--
-- Name: COLUMN attempt.array_index; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.array_index IS 'SLURM_ARRAY_TASK_ID, 0 without an array';


--
-- Name: COLUMN attempt.restart; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.restart IS 'SLURM_RESTART_COUNT: 0, or more after a requeue';


--
-- Name: COLUMN attempt.number; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.number IS '1 for a trial''s first attempt, then 2 …';


--
-- Name: COLUMN attempt.token; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.token IS 'Fences its writes';


--
-- Name: COLUMN attempt.claim; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.claim IS 'Nonce of the worker that claimed it, so that it knows its own claim';


--
-- Name: COLUMN attempt.state; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.state IS 'Where it stands';


--
-- Name: COLUMN attempt.slurm_job_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.slurm_job_id IS 'As squeue -r prints it, e.g. 123_4';


--
-- Name: COLUMN attempt.cluster; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.cluster IS 'Cluster name, if several';


--
-- Name: COLUMN attempt.host; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.host IS 'Slurm node name, else hostname';


--
-- Name: COLUMN attempt.requested; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.requested IS 'Resources requested for it';


--
-- Name: COLUMN attempt.measured; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.measured IS 'Resources it used';


--
-- Name: COLUMN attempt.infos; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.infos IS 'Its OO-Info lines, by name';


--
-- Name: COLUMN attempt.exit_code; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.exit_code IS 'Exit code of the program';


--
-- Name: COLUMN attempt.signal; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.signal IS 'Signal that ended the program';


--
-- Name: COLUMN attempt.slurm_state; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.slurm_state IS 'Slurm''s last word on it';


--
-- Name: COLUMN attempt.failure_class; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.failure_class IS 'Why it gave no result';


--
-- Name: COLUMN attempt.failure_name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.failure_name IS 'The rule or the log pattern that gave it its class';


--
-- Name: COLUMN attempt.failure_message; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.failure_message IS 'The same in a sentence';


--
-- Name: COLUMN attempt.failure_action; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.failure_action IS 'What was done about it';


--
-- Name: COLUMN attempt.failure_evidence; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.failure_evidence IS 'What the class rests on';


--
-- Name: COLUMN attempt.log_path; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.log_path IS 'Its log, relative to the run folder';


--
-- Name: COLUMN attempt.created_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.created_at IS 'When it was planned';


--
-- Name: COLUMN attempt.submitted_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.submitted_at IS 'When the scheduler took it';


--
-- Name: COLUMN attempt.started_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.started_at IS 'When a worker claimed it';


--
-- Name: COLUMN attempt.ended_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.ended_at IS 'When it ended';


--
-- Name: COLUMN attempt.heartbeat_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.heartbeat_at IS 'Last sign of life';


--
-- Name: attempt_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.attempt_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: attempt_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.attempt_id_seq OWNED BY public.attempt.id;


--
-- Name: auxiliary_experiments; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.auxiliary_experiments AS
 SELECT NULL::integer AS source_experiment_id,
    NULL::integer AS target_experiment_id,
    NULL::text AS purpose,
    NULL::boolean AS is_active,
    NULL::text AS properties,
    NULL::bigint AS "time"
  WHERE (1 = 0);


--
-- Name: VIEW auxiliary_experiments; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.auxiliary_experiments IS 'Ax''s auxiliary experiments: always empty.';


--
-- Name: COLUMN auxiliary_experiments.source_experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.auxiliary_experiments.source_experiment_id IS 'Always NULL: no rows';


--
-- Name: COLUMN auxiliary_experiments.target_experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.auxiliary_experiments.target_experiment_id IS 'Always NULL: no rows';


--
-- Name: COLUMN auxiliary_experiments.purpose; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.auxiliary_experiments.purpose IS 'Always NULL: no rows';


--
-- Name: COLUMN auxiliary_experiments.is_active; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.auxiliary_experiments.is_active IS 'Always NULL: no rows';


--
-- Name: COLUMN auxiliary_experiments.properties; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.auxiliary_experiments.properties IS 'Always NULL: no rows';


--
-- Name: COLUMN auxiliary_experiments."time"; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.auxiliary_experiments."time" IS 'Always NULL: no rows';


--
-- Name: card_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.card_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: card_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.card_id_seq OWNED BY public.card.id;


--
-- Name: code_file; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.code_file (
    id integer NOT NULL,
    experiment_id integer NOT NULL,
    path character varying(500) NOT NULL,
    sha256 character varying(64) NOT NULL,
    bytes bigint NOT NULL,
    attempt_id integer,
    created_at timestamp with time zone NOT NULL
);


--
-- Name: TABLE code_file; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.code_file IS 'A file that the program names, in one of the versions that were met.';


--
-- Name: COLUMN code_file.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.code_file.id IS 'Key';


--
-- Name: COLUMN code_file.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.code_file.experiment_id IS 'Experiment';


--
-- Name: COLUMN code_file.path; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.code_file.path IS 'Absolute path';


--
-- Name: COLUMN code_file.sha256; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.code_file.sha256 IS 'What it held; empty: it was gone';


--
-- Name: COLUMN code_file.bytes; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.code_file.bytes IS 'Its size';


--
-- Name: COLUMN code_file.attempt_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.code_file.attempt_id IS 'The attempt that met it first; NULL: it was so when the head started';


--
-- Name: COLUMN code_file.created_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.code_file.created_at IS 'When it was met first';


--
-- Name: code_file_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.code_file_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: code_file_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.code_file_id_seq OWNED BY public.code_file.id;


--
-- Name: spec_version; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.spec_version (
    id integer NOT NULL,
    experiment_id integer NOT NULL,
    version integer NOT NULL,
    spec json NOT NULL,
    reason text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_spec_version_version CHECK ((version >= 1))
);


--
-- Name: TABLE spec_version; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.spec_version IS 'What was asked for at one time: a new version for each change, e.g. at a resume.';


--
-- Name: COLUMN spec_version.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.spec_version.id IS 'Key';


--
-- Name: COLUMN spec_version.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.spec_version.experiment_id IS 'Experiment';


--
-- Name: COLUMN spec_version.version; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.spec_version.version IS '1 for the spec of the start, then 2 …';


--
-- Name: COLUMN spec_version.spec; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.spec_version.spec IS 'The whole spec; holds no password';


--
-- Name: COLUMN spec_version.reason; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.spec_version.reason IS 'What made it: setup, or what a resume changed';


--
-- Name: COLUMN spec_version.created_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.spec_version.created_at IS 'From when on it was in force';


--
-- Name: config; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.config AS
 SELECT c.id AS unique_id,
    c.created_at AS "timestamp",
    NULLIF((c.spec)::text, 'null'::text) AS config,
    c.experiment_id AS master_table_id
   FROM public.spec_version c;


--
-- Name: VIEW config; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.config IS 'AEPsych''s configs: one row a version of the spec, as JSON.';


--
-- Name: COLUMN config.unique_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.config.unique_id IS 'Key: spec_version.id';


--
-- Name: COLUMN config."timestamp"; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.config."timestamp" IS 'From when on this version was in force, UTC';


--
-- Name: COLUMN config.config; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.config.config IS 'The whole spec as JSON';


--
-- Name: COLUMN config.master_table_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.config.master_table_id IS 'The experiment: master.unique_id';


--
-- Name: objective; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.objective (
    id integer NOT NULL,
    experiment_id integer NOT NULL,
    "position" integer NOT NULL,
    name character varying(100) NOT NULL,
    minimize boolean NOT NULL
);


--
-- Name: TABLE objective; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.objective IS 'One value that trials report and the search makes small or large.';


--
-- Name: COLUMN objective.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.objective.id IS 'Key';


--
-- Name: COLUMN objective.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.objective.experiment_id IS 'Experiment';


--
-- Name: COLUMN objective."position"; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.objective."position" IS 'Order in which it was given, from 0';


--
-- Name: COLUMN objective.name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.objective.name IS 'Name, as in the line NAME: VALUE';


--
-- Name: COLUMN objective.minimize; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.objective.minimize IS 'True: smaller is better';


--
-- Name: outcome; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.outcome (
    id integer NOT NULL,
    trial_id integer NOT NULL,
    objective_id integer NOT NULL,
    mean double precision NOT NULL,
    sem double precision,
    source character varying(10) NOT NULL,
    attempt_id integer,
    reused_trial_id integer,
    CONSTRAINT ck_outcome_source CHECK (((source)::text = ANY ((ARRAY['ATTEMPT'::character varying, 'IMPORT'::character varying, 'REUSED'::character varying])::text[])))
);


--
-- Name: TABLE outcome; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.outcome IS 'The accepted value of one objective of one trial.';


--
-- Name: COLUMN outcome.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.outcome.id IS 'Key';


--
-- Name: COLUMN outcome.trial_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.outcome.trial_id IS 'Trial';


--
-- Name: COLUMN outcome.objective_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.outcome.objective_id IS 'Objective';


--
-- Name: COLUMN outcome.mean; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.outcome.mean IS 'The value';


--
-- Name: COLUMN outcome.sem; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.outcome.sem IS 'Its standard error, if the program gave it';


--
-- Name: COLUMN outcome.source; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.outcome.source IS 'Where it came from';


--
-- Name: COLUMN outcome.attempt_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.outcome.attempt_id IS 'The attempt that gave it';


--
-- Name: COLUMN outcome.reused_trial_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.outcome.reused_trial_id IS 'The trial it was taken from';


--
-- Name: data_v2; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.data_v2 AS
 SELECT t.id,
    ( SELECT (((((((((((('{"trial_index":{'::text || string_agg((v.place || v.number), ','::text)) || '},"arm_name":{'::text) || string_agg((v.place || v.arm), ','::text)) || '},"metric_name":{'::text) || string_agg((v.place || v.metric), ','::text)) || '},"metric_signature":{'::text) || string_agg((v.place || v.metric), ','::text)) || '},"mean":{'::text) || string_agg((v.place || v.mean), ','::text)) || '},"sem":{'::text) || string_agg((v.place || v.sem), ','::text)) || '}}'::text)
           FROM ( SELECT (('"'::text || (b."position")::text) || '":'::text) AS place,
                    (t.index)::text AS number,
                    ((('"'::text || (t.index)::text) || '_0'::text) || '"'::text) AS arm,
                    COALESCE((to_json((b.name)::text))::text, 'null'::text) AS metric,
                        CASE
                            WHEN ((o.mean <> (0)::double precision) AND (abs(o.mean) < (1)::double precision)) THEN TRIM(BOTH FROM to_char(((o.mean)::text)::numeric, '9.9999999999999999EEEE'::text))
                            ELSE (o.mean)::text
                        END AS mean,
                    COALESCE(
                        CASE
                            WHEN ((o.sem <> (0)::double precision) AND (abs(o.sem) < (1)::double precision)) THEN TRIM(BOTH FROM to_char(((o.sem)::text)::numeric, '9.9999999999999999EEEE'::text))
                            ELSE (o.sem)::text
                        END, 'null'::text) AS sem
                   FROM (public.outcome o
                     JOIN public.objective b ON ((b.id = o.objective_id)))
                  WHERE (o.trial_id = t.id)
                  ORDER BY b."position") v) AS data_json,
    NULL::text AS description,
    t.experiment_id,
    (floor((EXTRACT(epoch FROM COALESCE(t.completed_at, t.created_at)) * (1000)::numeric)))::bigint AS time_created,
    t.index AS trial_index,
    NULL::integer AS generation_strategy_id,
    NULL::text AS structure_metadata_json
   FROM public.trial t
  WHERE (EXISTS ( SELECT 1
           FROM public.outcome o
          WHERE (o.trial_id = t.id)));


--
-- Name: VIEW data_v2; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.data_v2 IS 'Ax''s data: one row a trial that has an outcome.';


--
-- Name: COLUMN data_v2.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.data_v2.id IS 'Key: trial.id';


--
-- Name: COLUMN data_v2.data_json; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.data_v2.data_json IS 'JSON data frame, column by column: a row an objective with mean and sem';


--
-- Name: COLUMN data_v2.description; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.data_v2.description IS 'Always NULL: there is none';


--
-- Name: COLUMN data_v2.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.data_v2.experiment_id IS 'The experiment: experiment_v2.id';


--
-- Name: COLUMN data_v2.time_created; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.data_v2.time_created IS 'When the trial''s status became final, milliseconds since 1970';


--
-- Name: COLUMN data_v2.trial_index; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.data_v2.trial_index IS 'Number of the trial';


--
-- Name: COLUMN data_v2.generation_strategy_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.data_v2.generation_strategy_id IS 'Always NULL: data belongs to the trial';


--
-- Name: COLUMN data_v2.structure_metadata_json; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.data_v2.structure_metadata_json IS 'Always NULL: Ax does not read it any more';


--
-- Name: data_row; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.data_row AS
 SELECT d.id,
    d.data_json AS data,
    d.id AS trial_id,
    ((d.trial_index)::text || '_0'::text) AS arm_name,
    (d.time_created / 1000) AS time_created
   FROM public.data_v2 d;


--
-- Name: VIEW data_row; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.data_row IS 'OmniOpt2''s data rows: one row a trial that has an outcome.';


--
-- Name: COLUMN data_row.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.data_row.id IS 'Key: trial.id';


--
-- Name: COLUMN data_row.data; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.data_row.data IS 'JSON data frame, column by column: a row an objective with mean and sem';


--
-- Name: COLUMN data_row.trial_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.data_row.trial_id IS 'The trial: trial_v2.id';


--
-- Name: COLUMN data_row.arm_name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.data_row.arm_name IS 'INDEX_0';


--
-- Name: COLUMN data_row.time_created; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.data_row.time_created IS 'When the trial''s status became final, seconds since 1970';


--
-- Name: event; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.event (
    id integer NOT NULL,
    experiment_id integer NOT NULL,
    kind character varying(40) NOT NULL,
    trial_id integer,
    payload json NOT NULL,
    created_at timestamp with time zone NOT NULL
);


--
-- Name: TABLE event; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.event IS 'One thing that happened or was decided; append-only, the audit trail.';


--
-- Name: COLUMN event.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.event.id IS 'Key';


--
-- Name: COLUMN event.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.event.experiment_id IS 'Experiment';


--
-- Name: COLUMN event.kind; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.event.kind IS 'What happened, e.g. setup, ask, tell';


--
-- Name: COLUMN event.trial_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.event.trial_id IS 'The trial it is about';


--
-- Name: COLUMN event.payload; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.event.payload IS 'The details';


--
-- Name: COLUMN event.created_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.event.created_at IS 'When';


--
-- Name: event_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.event_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: event_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.event_id_seq OWNED BY public.event.id;


--
-- Name: exclusion; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.exclusion (
    id integer NOT NULL,
    host_id integer NOT NULL,
    experiment_id integer,
    source character varying(20) NOT NULL,
    decided_by text,
    reason text NOT NULL,
    evidence json,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    ended_at timestamp with time zone,
    end_reason text,
    CONSTRAINT ck_exclusion_exclusionsource CHECK (((source)::text = ANY ((ARRAY['HEADWAY'::character varying, 'USER'::character varying])::text[]))),
    CONSTRAINT ck_exclusion_expires_at CHECK ((expires_at > created_at))
);


--
-- Name: TABLE exclusion; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.exclusion IS 'A host kept out of new jobs, with reason, evidence and expiry.';


--
-- Name: COLUMN exclusion.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.exclusion.id IS 'Key';


--
-- Name: COLUMN exclusion.host_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.exclusion.host_id IS 'The host';


--
-- Name: COLUMN exclusion.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.exclusion.experiment_id IS 'The experiment that found it; the exclusion holds for all';


--
-- Name: COLUMN exclusion.source; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.exclusion.source IS 'Who decided';


--
-- Name: COLUMN exclusion.decided_by; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.exclusion.decided_by IS 'user@host, where a person decided';


--
-- Name: COLUMN exclusion.reason; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.exclusion.reason IS 'Why, in a sentence';


--
-- Name: COLUMN exclusion.evidence; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.exclusion.evidence IS 'What that rests on';


--
-- Name: COLUMN exclusion.created_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.exclusion.created_at IS 'From when on';


--
-- Name: COLUMN exclusion.expires_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.exclusion.expires_at IS 'Until when; NULL: until included';


--
-- Name: COLUMN exclusion.ended_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.exclusion.ended_at IS 'When it really ended';


--
-- Name: COLUMN exclusion.end_reason; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.exclusion.end_reason IS 'Why it ended';


--
-- Name: exclusion_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.exclusion_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: exclusion_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.exclusion_id_seq OWNED BY public.exclusion.id;


--
-- Name: experiment; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.experiment (
    id integer NOT NULL,
    uuid character varying(36) NOT NULL,
    name character varying(100) NOT NULL,
    run_number integer NOT NULL,
    "group" text,
    description text,
    participant text,
    user_metadata json,
    spec json NOT NULL,
    status character varying(20) NOT NULL,
    stop_reason text,
    owner text NOT NULL,
    run_dir text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT ck_experiment_experimentstatus CHECK (((status)::text = ANY ((ARRAY['RUNNING'::character varying, 'STOPPING'::character varying, 'FINISHED'::character varying, 'STOPPED'::character varying, 'FAILED'::character varying, 'INTERRUPTED'::character varying])::text[])))
);


--
-- Name: TABLE experiment; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.experiment IS 'One search: a space, objectives, a strategy, a program and resources.';


--
-- Name: COLUMN experiment.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment.id IS 'Key';


--
-- Name: COLUMN experiment.uuid; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment.uuid IS 'The same in every database';


--
-- Name: COLUMN experiment.name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment.name IS 'Name given by the user';


--
-- Name: COLUMN experiment.run_number; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment.run_number IS '1 for the first run of this name, then 2 …';


--
-- Name: COLUMN experiment."group"; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment."group" IS 'Experiments that belong together';


--
-- Name: COLUMN experiment.description; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment.description IS 'Free text of the user';


--
-- Name: COLUMN experiment.participant; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment.participant IS 'Whom or what was studied';


--
-- Name: COLUMN experiment.user_metadata; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment.user_metadata IS 'The user''s own keys and values';


--
-- Name: COLUMN experiment.spec; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment.spec IS 'What was asked for, frozen; holds no password';


--
-- Name: COLUMN experiment.status; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment.status IS 'Where the experiment stands';


--
-- Name: COLUMN experiment.stop_reason; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment.stop_reason IS 'Why it ended, in a sentence';


--
-- Name: COLUMN experiment.owner; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment.owner IS 'user@host that started it';


--
-- Name: COLUMN experiment.run_dir; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment.run_dir IS 'The run folder, absolute';


--
-- Name: COLUMN experiment.created_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment.created_at IS 'When it was set up';


--
-- Name: COLUMN experiment.ended_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment.ended_at IS 'When its last head ended';


--
-- Name: experiment_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.experiment_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: experiment_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.experiment_id_seq OWNED BY public.experiment.id;


--
-- Name: experiment_v2; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.experiment_v2 AS
 SELECT e.description,
    NULL::integer AS experiment_type,
    e.id,
    (0)::boolean AS is_test,
        CASE
            WHEN (e.run_number = 1) THEN (e.name)::text
            ELSE (((e.name)::text || '/'::text) || (e.run_number)::text)
        END AS name,
    (((((((((('{"immutable_search_space_and_opt_config": true, "headway": {"uuid": '::text || COALESCE((to_json((e.uuid)::text))::text, 'null'::text)) || ', "run_number": '::text) || e.run_number) || ', "group": '::text) || COALESCE((to_json(e."group"))::text, 'null'::text)) || ', "participant": '::text) || COALESCE((to_json(e.participant))::text, 'null'::text)) || ', "metadata": '::text) || COALESCE(NULLIF((e.user_metadata)::text, 'null'::text), 'null'::text)) || '}}'::text) AS properties,
    NULL::text AS status_quo_name,
    NULL::text AS status_quo_parameters,
    (floor(EXTRACT(epoch FROM e.created_at)))::bigint AS time_created,
    (
        CASE
            WHEN ((e.status)::text = ANY ((ARRAY['FINISHED'::character varying, 'STOPPED'::character varying, 'FAILED'::character varying])::text[])) THEN 4
            ELSE 2
        END)::smallint AS status,
    NULL::text AS default_trial_type,
    (1)::smallint AS default_data_type,
    '{}'::text AS auxiliary_experiments_by_purpose
   FROM public.experiment e;


--
-- Name: VIEW experiment_v2; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.experiment_v2 IS 'Ax''s experiments: one row an experiment.';


--
-- Name: COLUMN experiment_v2.description; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment_v2.description IS 'Free text of the user';


--
-- Name: COLUMN experiment_v2.experiment_type; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment_v2.experiment_type IS 'Always NULL: Ax has no types of experiments';


--
-- Name: COLUMN experiment_v2.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment_v2.id IS 'Key: experiment.id';


--
-- Name: COLUMN experiment_v2.is_test; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment_v2.is_test IS 'Always false';


--
-- Name: COLUMN experiment_v2.name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment_v2.name IS 'NAME of the first run, NAME/N of later ones';


--
-- Name: COLUMN experiment_v2.properties; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment_v2.properties IS 'JSON: uuid, run, group, participant, the user''s keys';


--
-- Name: COLUMN experiment_v2.status_quo_name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment_v2.status_quo_name IS 'Always NULL: there is no status quo';


--
-- Name: COLUMN experiment_v2.status_quo_parameters; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment_v2.status_quo_parameters IS 'Always NULL: there is no status quo';


--
-- Name: COLUMN experiment_v2.time_created; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment_v2.time_created IS 'When it was set up, seconds since 1970';


--
-- Name: COLUMN experiment_v2.status; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment_v2.status IS '2 (optimization), or 4 (completed) once it has finished, stopped or failed';


--
-- Name: COLUMN experiment_v2.default_trial_type; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment_v2.default_trial_type IS 'Always NULL: all trials are of one type';


--
-- Name: COLUMN experiment_v2.default_data_type; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment_v2.default_data_type IS 'Always 1, Ax''s DATA';


--
-- Name: COLUMN experiment_v2.auxiliary_experiments_by_purpose; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiment_v2.auxiliary_experiments_by_purpose IS 'Always {}: there are none';


--
-- Name: generation; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.generation (
    id integer NOT NULL,
    experiment_id integer NOT NULL,
    number integer NOT NULL,
    node integer NOT NULL,
    generator character varying(100) NOT NULL,
    requested integer NOT NULL,
    produced integer NOT NULL,
    fit_time double precision,
    gen_time double precision,
    seed bigint NOT NULL,
    state json,
    predictions json,
    fallback_reason text,
    created_at timestamp with time zone NOT NULL
);


--
-- Name: TABLE generation; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.generation IS 'One call of a generator: what it was asked, what it gave, how long it took.';


--
-- Name: COLUMN generation.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation.id IS 'Key';


--
-- Name: COLUMN generation.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation.experiment_id IS 'Experiment';


--
-- Name: COLUMN generation.number; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation.number IS 'Order of the calls, from 0; seeds the call';


--
-- Name: COLUMN generation.node; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation.node IS 'Position of the strategy''s step it counts for';


--
-- Name: COLUMN generation.generator; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation.generator IS 'The generator that answered';


--
-- Name: COLUMN generation.requested; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation.requested IS 'Points asked for';


--
-- Name: COLUMN generation.produced; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation.produced IS 'Points given';


--
-- Name: COLUMN generation.fit_time; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation.fit_time IS 'Seconds spent on fitting a model';


--
-- Name: COLUMN generation.gen_time; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation.gen_time IS 'Seconds spent on making the points';


--
-- Name: COLUMN generation.seed; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation.seed IS 'Seed of this call';


--
-- Name: COLUMN generation.state; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation.state IS 'What the generator needs to go on';


--
-- Name: COLUMN generation.predictions; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation.predictions IS 'What the model expected';


--
-- Name: COLUMN generation.fallback_reason; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation.fallback_reason IS 'Why another generator than the step''s own answered';


--
-- Name: COLUMN generation.created_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation.created_at IS 'When the answer came';


--
-- Name: experiments; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.experiments AS
 SELECT t.id,
    e.run_dir AS directory,
    (((e.uuid)::text || '/'::text) || (t.index)::text) AS experiment_id,
    e.name AS module,
    NULLIF((t.parameters)::text, 'null'::text) AS config,
    g.seed,
    e."group" AS group_path,
    (floor(EXTRACT(epoch FROM t.created_at)))::bigint AS "timestamp",
    t.run_started_at AS started_at,
    t.completed_at AS finished_at,
    ( SELECT ((e.run_dir || '/'::text) || a.log_path)
           FROM public.attempt a
          WHERE (a.trial_id = t.id)
          ORDER BY a.number DESC
         LIMIT 1) AS log_path
   FROM ((public.trial t
     JOIN public.experiment e ON ((e.id = t.experiment_id)))
     LEFT JOIN public.generation g ON ((g.id = t.generation_id)));


--
-- Name: VIEW experiments; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.experiments IS 'machinable''s experiments: one row a trial.';


--
-- Name: COLUMN experiments.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiments.id IS 'Key: trial.id';


--
-- Name: COLUMN experiments.directory; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiments.directory IS 'The run folder, absolute; all trials of one run share it';


--
-- Name: COLUMN experiments.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiments.experiment_id IS 'The same in every database: the experiment''s uuid / number of the trial';


--
-- Name: COLUMN experiments.module; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiments.module IS 'Name of the experiment';


--
-- Name: COLUMN experiments.config; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiments.config IS 'Parameter values by name, as JSON';


--
-- Name: COLUMN experiments.seed; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiments.seed IS 'Seed of the call that proposed it; NULL for an imported trial';


--
-- Name: COLUMN experiments.group_path; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiments.group_path IS 'The experiment''s group';


--
-- Name: COLUMN experiments."timestamp"; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiments."timestamp" IS 'When it was proposed, in whole seconds since 1970';


--
-- Name: COLUMN experiments.started_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiments.started_at IS 'When a worker first claimed it, UTC';


--
-- Name: COLUMN experiments.finished_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiments.finished_at IS 'When its status became final, UTC; NULL before';


--
-- Name: COLUMN experiments.log_path; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.experiments.log_path IS 'Log of its latest attempt, absolute';


--
-- Name: generation_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.generation_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: generation_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.generation_id_seq OWNED BY public.generation.id;


--
-- Name: generation_node; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.generation_node (
    id integer NOT NULL,
    experiment_id integer NOT NULL,
    "position" integer NOT NULL,
    generator character varying(100) NOT NULL,
    num_trials integer,
    min_observed integer NOT NULL
);


--
-- Name: TABLE generation_node; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.generation_node IS 'One step of an experiment''s strategy.';


--
-- Name: COLUMN generation_node.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_node.id IS 'Key';


--
-- Name: COLUMN generation_node.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_node.experiment_id IS 'Experiment';


--
-- Name: COLUMN generation_node."position"; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_node."position" IS 'Order of the steps, from 0';


--
-- Name: COLUMN generation_node.generator; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_node.generator IS 'Generator, e.g. SOBOL or TPE';


--
-- Name: COLUMN generation_node.num_trials; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_node.num_trials IS 'Trials it gives; NULL: all the rest';


--
-- Name: COLUMN generation_node.min_observed; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_node.min_observed IS 'Finished trials of earlier steps that it needs before it starts';


--
-- Name: generation_node_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.generation_node_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: generation_node_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.generation_node_id_seq OWNED BY public.generation_node.id;


--
-- Name: generation_step; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.generation_step AS
 SELECT n.id,
    n.experiment_id AS generation_strategy_id,
    n."position" AS index,
    n.generator AS name,
        CASE
            WHEN (n."position" = 0) THEN 'initial'::text
            ELSE 'iterative'::text
        END AS type,
    n.generator AS model_key,
    (('{"num_trials": '::text || COALESCE((n.num_trials)::text, 'null'::text)) || '}'::text) AS model_kwargs,
    '{}'::text AS bridge_kwargs,
    (0)::boolean AS use_update,
    n.min_observed AS minimum_trials_observed,
    (0)::boolean AS is_dedicated,
    (1)::boolean AS should_save,
    (
        CASE
            WHEN (n."position" = COALESCE(( SELECT g.node
               FROM public.generation g
              WHERE (g.experiment_id = n.experiment_id)
              ORDER BY g.number DESC
             LIMIT 1), 0)) THEN 1
            ELSE 0
        END)::boolean AS is_active
   FROM public.generation_node n;


--
-- Name: VIEW generation_step; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.generation_step IS 'OmniOpt2''s generation steps: one row a step of a strategy.';


--
-- Name: COLUMN generation_step.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_step.id IS 'Key: generation_node.id';


--
-- Name: COLUMN generation_step.generation_strategy_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_step.generation_strategy_id IS 'The strategy: generation_strategy.id';


--
-- Name: COLUMN generation_step.index; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_step.index IS 'Order of the steps, from 0';


--
-- Name: COLUMN generation_step.name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_step.name IS 'Generator, e.g. SOBOL or TPE';


--
-- Name: COLUMN generation_step.type; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_step.type IS 'initial for the first step, else iterative';


--
-- Name: COLUMN generation_step.model_key; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_step.model_key IS 'Generator, e.g. SOBOL or TPE';


--
-- Name: COLUMN generation_step.model_kwargs; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_step.model_kwargs IS 'JSON: trials that the step gives; null: all the rest';


--
-- Name: COLUMN generation_step.bridge_kwargs; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_step.bridge_kwargs IS 'Always {}: our generators have none';


--
-- Name: COLUMN generation_step.use_update; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_step.use_update IS 'Always false: models are fitted anew';


--
-- Name: COLUMN generation_step.minimum_trials_observed; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_step.minimum_trials_observed IS 'Finished trials of earlier steps that it needs before it starts';


--
-- Name: COLUMN generation_step.is_dedicated; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_step.is_dedicated IS 'Always false';


--
-- Name: COLUMN generation_step.should_save; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_step.should_save IS 'Always true';


--
-- Name: COLUMN generation_step.is_active; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_step.is_active IS 'Whether this step is filled now';


--
-- Name: generation_strategy; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.generation_strategy AS
 SELECT x.id,
    replace(x.names, ','::text, '+'::text) AS name,
    (('['::text || x.steps) || ']'::text) AS steps,
    x.current AS curr_index,
    x.id AS experiment_id,
    (('[{"__type": "GenerationNode", "name": "SOBOL", "generator_specs": [{"__type": "GeneratorSpec", "generator_enum": {"__type": "Generators", "name": "SOBOL"}, "generator_kwargs": {}, "generator_gen_kwargs": {}}], "best_model_selector": null, "should_deduplicate": true, "transition_criteria": [{"__type": "MinTrials", "threshold": '::text || (COALESCE(x.first, 5))::text) || ', "transition_to": "BOTORCH_MODULAR", "only_in_statuses": [{"__type": "TrialStatus", "name": "COMPLETED"}], "not_in_statuses": null, "use_all_trials_in_exp": true, "continue_trial_generation": false, "count_only_trials_with_data": true}], "generator_spec_to_gen_from": {"__type": "GeneratorSpec", "generator_enum": {"__type": "Generators", "name": "SOBOL"}, "generator_kwargs": {}, "generator_gen_kwargs": {}}, "previous_node_name": null, "trial_type": null, "input_constructors": {}}, {"__type": "GenerationNode", "name": "BOTORCH_MODULAR", "generator_specs": [{"__type": "GeneratorSpec", "generator_enum": {"__type": "Generators", "name": "BOTORCH_MODULAR"}, "generator_kwargs": {}, "generator_gen_kwargs": {}}], "best_model_selector": null, "should_deduplicate": true, "transition_criteria": [], "generator_spec_to_gen_from": {"__type": "GeneratorSpec", "generator_enum": {"__type": "Generators", "name": "BOTORCH_MODULAR"}, "generator_kwargs": {}, "generator_gen_kwargs": {}}, "previous_node_name": null, "trial_type": null, "input_constructors": {}}]'::text) AS nodes,
    ( SELECT n.generator
           FROM public.generation_node n
          WHERE ((n.experiment_id = x.id) AND (n."position" = x.current))) AS curr_node_name
   FROM ( SELECT i.id,
            COALESCE(( SELECT g.node
                   FROM public.generation g
                  WHERE (g.experiment_id = i.id)
                  ORDER BY g.number DESC
                 LIMIT 1), 0) AS current,
            ( SELECT n.num_trials
                   FROM public.generation_node n
                  WHERE ((n.experiment_id = i.id) AND (n."position" = 0))) AS first,
            ( SELECT string_agg(s.name, ','::text) AS string_agg
                   FROM ( SELECT ((n.generator)::text || COALESCE(((' for '::text || (n.num_trials)::text) || ' steps'::text), ''::text)) AS name
                           FROM public.generation_node n
                          WHERE (n.experiment_id = i.id)
                          ORDER BY n."position") s) AS names,
            ( SELECT string_agg(s.step, ','::text) AS string_agg
                   FROM ( SELECT (((((('{"generator": '::text || COALESCE((to_json((n.generator)::text))::text, 'null'::text)) || ', "num_trials": '::text) || COALESCE((n.num_trials)::text, 'null'::text)) || ', "min_observed": '::text) || (n.min_observed)::text) || '}'::text) AS step
                           FROM public.generation_node n
                          WHERE (n.experiment_id = i.id)
                          ORDER BY n."position") s) AS steps
           FROM public.experiment i) x;


--
-- Name: VIEW generation_strategy; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.generation_strategy IS 'Ax''s generation strategies: one row an experiment.';


--
-- Name: COLUMN generation_strategy.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_strategy.id IS 'Key: experiment.id';


--
-- Name: COLUMN generation_strategy.name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_strategy.name IS 'The steps and their numbers of trials';


--
-- Name: COLUMN generation_strategy.steps; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_strategy.steps IS 'Our steps, as JSON';


--
-- Name: COLUMN generation_strategy.curr_index; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_strategy.curr_index IS 'Position of the step that is filled now';


--
-- Name: COLUMN generation_strategy.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_strategy.experiment_id IS 'The experiment: experiment_v2.id';


--
-- Name: COLUMN generation_strategy.nodes; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_strategy.nodes IS 'A strategy that Ax can go on with: Sobol, then BoTorch';


--
-- Name: COLUMN generation_strategy.curr_node_name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_strategy.curr_node_name IS 'Generator of the step that is filled now';


--
-- Name: generator_run_v2; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.generator_run_v2 AS
 SELECT NULL::text AS best_arm_name,
    NULL::text AS best_arm_parameters,
    NULL::text AS best_arm_predictions,
        CASE
            WHEN (g.id IS NULL) THEN 1
            ELSE NULL::integer
        END AS generator_run_type,
    t.id,
    0 AS index,
    NULL::text AS model_predictions,
    (floor(EXTRACT(epoch FROM t.created_at)))::bigint AS time_created,
    t.id AS trial_id,
    NULL::double precision AS weight,
    g.fit_time,
    g.gen_time,
        CASE g.generator
            WHEN 'SOBOL'::text THEN 'Sobol'::character varying
            WHEN 'BOTORCH_MODULAR'::text THEN 'BoTorch'::character varying
            ELSE g.generator
        END AS model_key,
    '{}'::text AS model_kwargs,
    '{}'::text AS bridge_kwargs,
        CASE
            WHEN (g.id IS NULL) THEN '{}'::text
            ELSE (((((((((('{"generation": '::text || (g.number)::text) || ', "seed": '::text) || (g.seed)::text) || ', "requested": '::text) || (g.requested)::text) || ', "produced": '::text) || (g.produced)::text) || ', "fallback_reason": '::text) || COALESCE((to_json(g.fallback_reason))::text, 'null'::text)) || '}'::text)
        END AS gen_metadata,
    NULL::text AS model_state_after_gen,
    t.experiment_id AS generation_strategy_id,
    g.node AS generation_step_index,
    NULL::text AS candidate_metadata_by_arm_signature,
    n.generator AS generation_node_name,
    NULL::smallint AS suggested_experiment_status
   FROM ((public.trial t
     LEFT JOIN public.generation g ON ((g.id = t.generation_id)))
     LEFT JOIN public.generation_node n ON (((n.experiment_id = g.experiment_id) AND (n."position" = g.node))));


--
-- Name: VIEW generator_run_v2; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.generator_run_v2 IS 'Ax''s generator runs: one row a trial, with what the call that proposed it has told.';


--
-- Name: COLUMN generator_run_v2.best_arm_name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generator_run_v2.best_arm_name IS 'Always NULL: see the outcomes';


--
-- Name: COLUMN generator_run_v2.best_arm_parameters; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generator_run_v2.best_arm_parameters IS 'Always NULL: see the outcomes';


--
-- Name: COLUMN generator_run_v2.best_arm_predictions; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generator_run_v2.best_arm_predictions IS 'Always NULL: see generation.predictions';


--
-- Name: COLUMN generator_run_v2.generator_run_type; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generator_run_v2.generator_run_type IS '1 for a trial that no generator proposed';


--
-- Name: COLUMN generator_run_v2.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generator_run_v2.id IS 'Key: trial.id';


--
-- Name: COLUMN generator_run_v2.index; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generator_run_v2.index IS 'Always 0';


--
-- Name: COLUMN generator_run_v2.model_predictions; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generator_run_v2.model_predictions IS 'Always NULL: see generation.predictions';


--
-- Name: COLUMN generator_run_v2.time_created; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generator_run_v2.time_created IS 'When it was proposed, seconds since 1970';


--
-- Name: COLUMN generator_run_v2.trial_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generator_run_v2.trial_id IS 'The trial: trial_v2.id';


--
-- Name: COLUMN generator_run_v2.weight; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generator_run_v2.weight IS 'Always NULL: a trial has one generator run';


--
-- Name: COLUMN generator_run_v2.fit_time; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generator_run_v2.fit_time IS 'Seconds that the whole call spent on fitting a model';


--
-- Name: COLUMN generator_run_v2.gen_time; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generator_run_v2.gen_time IS 'Seconds that the whole call spent on making points';


--
-- Name: COLUMN generator_run_v2.model_key; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generator_run_v2.model_key IS 'The generator that answered, Ax''s own ones under Ax''s keys';


--
-- Name: COLUMN generator_run_v2.model_kwargs; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generator_run_v2.model_kwargs IS 'Always {}: Headway''s generators are not restored by Ax';


--
-- Name: COLUMN generator_run_v2.bridge_kwargs; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generator_run_v2.bridge_kwargs IS 'Always {}: Headway''s generators are not restored by Ax';


--
-- Name: COLUMN generator_run_v2.gen_metadata; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generator_run_v2.gen_metadata IS 'JSON: number and seed of the call, points asked for and given';


--
-- Name: COLUMN generator_run_v2.model_state_after_gen; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generator_run_v2.model_state_after_gen IS 'Always NULL: Ax would go on from it; see generation.state';


--
-- Name: COLUMN generator_run_v2.generation_strategy_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generator_run_v2.generation_strategy_id IS 'Its strategy: generation_strategy.id';


--
-- Name: COLUMN generator_run_v2.generation_step_index; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generator_run_v2.generation_step_index IS 'The step that it counts for, from 0';


--
-- Name: COLUMN generator_run_v2.candidate_metadata_by_arm_signature; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generator_run_v2.candidate_metadata_by_arm_signature IS 'Always NULL: there is none';


--
-- Name: COLUMN generator_run_v2.generation_node_name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generator_run_v2.generation_node_name IS 'Generator of the step it counts for';


--
-- Name: COLUMN generator_run_v2.suggested_experiment_status; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generator_run_v2.suggested_experiment_status IS 'Always NULL: see experiment_v2.status';


--
-- Name: head_lease; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.head_lease (
    experiment_id integer NOT NULL,
    host character varying(255) NOT NULL,
    boot_id character varying(64) NOT NULL,
    pid integer NOT NULL,
    process_started bigint NOT NULL,
    epoch integer NOT NULL,
    expires_at timestamp with time zone NOT NULL
);


--
-- Name: TABLE head_lease; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.head_lease IS 'Which head owns an experiment, and until when.';


--
-- Name: COLUMN head_lease.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.head_lease.experiment_id IS 'Experiment';


--
-- Name: COLUMN head_lease.host; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.head_lease.host IS 'Host of the head';


--
-- Name: COLUMN head_lease.boot_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.head_lease.boot_id IS 'Boot of that host';


--
-- Name: COLUMN head_lease.pid; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.head_lease.pid IS 'Process of the head';


--
-- Name: COLUMN head_lease.process_started; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.head_lease.process_started IS 'Start of the process in clock ticks after boot';


--
-- Name: COLUMN head_lease.epoch; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.head_lease.epoch IS 'Grows with every change of the owner';


--
-- Name: COLUMN head_lease.expires_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.head_lease.expires_at IS 'By the clock of the database';


--
-- Name: host; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.host (
    id integer NOT NULL,
    cluster character varying(60) NOT NULL,
    name character varying(255) NOT NULL,
    state character varying(20) NOT NULL,
    reason text,
    evidence json,
    first_seen_at timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_host_hoststate CHECK (((state)::text = ANY ((ARRAY['GOOD'::character varying, 'SUSPECT'::character varying, 'PAROLE'::character varying])::text[])))
);


--
-- Name: TABLE host; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.host IS 'A compute node, by its Slurm node name.';


--
-- Name: COLUMN host.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.host.id IS 'Key';


--
-- Name: COLUMN host.cluster; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.host.cluster IS 'Cluster, empty where there is only one';


--
-- Name: COLUMN host.name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.host.name IS 'Slurm node name, else hostname';


--
-- Name: COLUMN host.state; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.host.state IS 'What is thought of it';


--
-- Name: COLUMN host.reason; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.host.reason IS 'Why, in a sentence';


--
-- Name: COLUMN host.evidence; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.host.evidence IS 'What that rests on';


--
-- Name: COLUMN host.first_seen_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.host.first_seen_at IS 'When it was first judged';


--
-- Name: COLUMN host.changed_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.host.changed_at IS 'When its state changed last';


--
-- Name: host_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.host_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: host_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.host_id_seq OWNED BY public.host.id;


--
-- Name: master; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.master AS
 SELECT e.id AS unique_id,
    COALESCE(NULLIF((e.name)::text, ''::text), 'default name'::text) AS experiment_name,
    COALESCE(NULLIF(e.description, ''::text), 'default description'::text) AS experiment_description,
    e.uuid AS experiment_id,
    NULLIF(e.participant, ''::text) AS participant_id,
    NULLIF((e.user_metadata)::text, 'null'::text) AS extra_metadata
   FROM public.experiment e;


--
-- Name: VIEW master; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.master IS 'AEPsych''s experiments: one row an experiment.';


--
-- Name: COLUMN master.unique_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.master.unique_id IS 'Key: experiment.id';


--
-- Name: COLUMN master.experiment_name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.master.experiment_name IS 'Name given by the user';


--
-- Name: COLUMN master.experiment_description; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.master.experiment_description IS 'Free text of the user, or "default description"';


--
-- Name: COLUMN master.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.master.experiment_id IS 'The experiment''s uuid, the same in every database';


--
-- Name: COLUMN master.participant_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.master.participant_id IS 'Whom or what was studied; NULL if not given';


--
-- Name: COLUMN master.extra_metadata; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.master.extra_metadata IS 'The user''s own keys and values as JSON; NULL if there are none';


--
-- Name: metric; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.metric (
    id integer NOT NULL,
    trial_id integer NOT NULL,
    attempt_id integer NOT NULL,
    name character varying(100) NOT NULL,
    value double precision,
    split character varying(10) NOT NULL,
    level character varying(10) NOT NULL,
    step bigint,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_metric_level CHECK (((level)::text = ANY ((ARRAY['LAST'::character varying, 'STEP'::character varying, 'BATCH'::character varying, 'TRIAL'::character varying])::text[]))),
    CONSTRAINT ck_metric_split CHECK (((split)::text = ANY ((ARRAY['TRAIN'::character varying, 'VALIDATION'::character varying, 'TEST'::character varying])::text[])))
);


--
-- Name: TABLE metric; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.metric IS 'One measurement along the way of an attempt.';


--
-- Name: COLUMN metric.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric.id IS 'Key';


--
-- Name: COLUMN metric.trial_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric.trial_id IS 'Trial';


--
-- Name: COLUMN metric.attempt_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric.attempt_id IS 'The attempt that measured it';


--
-- Name: COLUMN metric.name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric.name IS 'Name';


--
-- Name: COLUMN metric.value; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric.value IS 'Value; NULL if it was not a finite number';


--
-- Name: COLUMN metric.split; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric.split IS 'Part of the data it was measured on';


--
-- Name: COLUMN metric.level; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric.level IS 'What one value stands for';


--
-- Name: COLUMN metric.step; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric.step IS 'Step, batch or epoch';


--
-- Name: COLUMN metric.created_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric.created_at IS 'When the program printed it';


--
-- Name: metric_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.metric_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: metric_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.metric_id_seq OWNED BY public.metric.id;


--
-- Name: metric_v2; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.metric_v2 AS
 SELECT m.experiment_id,
    NULL::integer AS generator_run_id,
    m.id,
    m.minimize AS lower_is_better,
    m.intent,
    0 AS metric_type,
    m.name,
    '{}'::text AS properties,
    m.name AS signature,
    m.minimize,
    NULL::smallint AS op,
    NULL::double precision AS bound,
    NULL::boolean AS relative,
    NULL::text AS trial_type,
    NULL::text AS canonical_name,
    m.parent_id AS scalarized_objective_id,
    NULL::double precision AS scalarized_objective_weight,
    NULL::integer AS scalarized_outcome_constraint_id,
    NULL::double precision AS scalarized_outcome_constraint_weight
   FROM ( SELECT
                CASE
                    WHEN (NOT (EXISTS ( SELECT 1
                       FROM public.objective x
                      WHERE ((x.experiment_id = b.experiment_id) AND (x.id <> b.id))))) THEN b.experiment_id
                    ELSE NULL::integer
                END AS experiment_id,
            (b.id * 2) AS id,
            b.minimize,
            'objective'::text AS intent,
            b.name,
                CASE
                    WHEN (NOT (NOT (EXISTS ( SELECT 1
                       FROM public.objective x
                      WHERE ((x.experiment_id = b.experiment_id) AND (x.id <> b.id)))))) THEN ((( SELECT min(f.id) AS min
                       FROM public.objective f
                      WHERE (f.experiment_id = b.experiment_id)) * 2) + 1)
                    ELSE NULL::integer
                END AS parent_id
           FROM public.objective b
        UNION ALL
         SELECT b.experiment_id,
            ((min(b.id) * 2) + 1),
            NULL::boolean AS bool,
            'multi_objective'::text,
            'multi_objective'::character varying,
            NULL::integer AS int4
           FROM public.objective b
          GROUP BY b.experiment_id
         HAVING (count(*) > 1)) m;


--
-- Name: VIEW metric_v2; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.metric_v2 IS 'Ax''s metrics: one row an objective; several have a parent row in common.';


--
-- Name: COLUMN metric_v2.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric_v2.experiment_id IS 'The experiment: experiment_v2.id; NULL below a parent';


--
-- Name: COLUMN metric_v2.generator_run_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric_v2.generator_run_id IS 'Always NULL: all of an experiment''s generator runs share its space';


--
-- Name: COLUMN metric_v2.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric_v2.id IS 'Key: objective.id * 2; a parent''s is odd';


--
-- Name: COLUMN metric_v2.lower_is_better; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric_v2.lower_is_better IS 'True: smaller is better';


--
-- Name: COLUMN metric_v2.intent; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric_v2.intent IS 'objective, or multi_objective for a parent';


--
-- Name: COLUMN metric_v2.metric_type; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric_v2.metric_type IS 'Always 0, Ax''s Metric';


--
-- Name: COLUMN metric_v2.name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric_v2.name IS 'Name of the objective; multi_objective for a parent';


--
-- Name: COLUMN metric_v2.properties; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric_v2.properties IS 'Always {}: the other columns say all';


--
-- Name: COLUMN metric_v2.signature; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric_v2.signature IS 'The same as name';


--
-- Name: COLUMN metric_v2.minimize; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric_v2.minimize IS 'True: smaller is better; NULL for a parent';


--
-- Name: COLUMN metric_v2.op; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric_v2.op IS 'Always NULL: there are no outcome constraints';


--
-- Name: COLUMN metric_v2.bound; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric_v2.bound IS 'Always NULL: there are no outcome constraints';


--
-- Name: COLUMN metric_v2.relative; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric_v2.relative IS 'Always NULL: there are no outcome constraints';


--
-- Name: COLUMN metric_v2.trial_type; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric_v2.trial_type IS 'Always NULL: all trials are of one type';


--
-- Name: COLUMN metric_v2.canonical_name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric_v2.canonical_name IS 'Always NULL: all trials are of one type';


--
-- Name: COLUMN metric_v2.scalarized_objective_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric_v2.scalarized_objective_id IS 'The parent, with several objectives';


--
-- Name: COLUMN metric_v2.scalarized_objective_weight; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric_v2.scalarized_objective_weight IS 'Always NULL: objectives are not summed';


--
-- Name: COLUMN metric_v2.scalarized_outcome_constraint_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric_v2.scalarized_outcome_constraint_id IS 'Always NULL: there are no outcome constraints';


--
-- Name: COLUMN metric_v2.scalarized_outcome_constraint_weight; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric_v2.scalarized_outcome_constraint_weight IS 'Always NULL: there are no outcome constraints';


--
-- Name: parameter; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.parameter (
    id integer NOT NULL,
    experiment_id integer NOT NULL,
    "position" integer NOT NULL,
    name character varying(100) NOT NULL,
    kind character varying(10) NOT NULL,
    value_type character varying(10) NOT NULL,
    lower double precision,
    upper double precision,
    log_scale boolean,
    choices json,
    is_ordered boolean,
    fixed_value json,
    CONSTRAINT ck_parameter_kind CHECK (((kind)::text = ANY ((ARRAY['range'::character varying, 'choice'::character varying, 'fixed'::character varying])::text[]))),
    CONSTRAINT ck_parameter_value_type CHECK (((value_type)::text = ANY ((ARRAY['int'::character varying, 'float'::character varying, 'str'::character varying, 'bool'::character varying])::text[])))
);


--
-- Name: TABLE parameter; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.parameter IS 'One dimension of an experiment''s space.';


--
-- Name: COLUMN parameter.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter.id IS 'Key';


--
-- Name: COLUMN parameter.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter.experiment_id IS 'Experiment';


--
-- Name: COLUMN parameter."position"; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter."position" IS 'Order in which it was given, from 0';


--
-- Name: COLUMN parameter.name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter.name IS 'Name, as the program''s text uses it';


--
-- Name: COLUMN parameter.kind; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter.kind IS 'range, choice or fixed';


--
-- Name: COLUMN parameter.value_type; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter.value_type IS 'int, float, str or bool';


--
-- Name: COLUMN parameter.lower; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter.lower IS 'Range: lowest value, included';


--
-- Name: COLUMN parameter.upper; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter.upper IS 'Range: highest value, included';


--
-- Name: COLUMN parameter.log_scale; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter.log_scale IS 'Range: searched on a log scale';


--
-- Name: COLUMN parameter.choices; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter.choices IS 'Choice: the values';


--
-- Name: COLUMN parameter.is_ordered; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter.is_ordered IS 'Choice: the order has a meaning';


--
-- Name: COLUMN parameter.fixed_value; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter.fixed_value IS 'Fixed: {value: …}';


--
-- Name: model_session; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.model_session AS
 SELECT e.id,
        CASE
            WHEN (e.run_number = 1) THEN (e.name)::text
            ELSE (((e.name)::text || '/'::text) || (e.run_number)::text)
        END AS name,
    e.description,
    'optimization'::text AS task_name,
    (('['::text || COALESCE(( SELECT string_agg(x.member, ','::text) AS string_agg
           FROM ( SELECT COALESCE((to_json((b.name)::text))::text, 'null'::text) AS member
                   FROM public.parameter b
                  WHERE (b.experiment_id = e.id)
                  ORDER BY b."position") x), ''::text)) || ']'::text) AS input_columns,
    (('['::text || COALESCE(( SELECT string_agg(x.member, ','::text) AS string_agg
           FROM ( SELECT COALESCE((to_json((b.name)::text))::text, 'null'::text) AS member
                   FROM public.objective b
                  WHERE (b.experiment_id = e.id)
                  ORDER BY b."position") x), ''::text)) || ']'::text) AS output_columns,
    e.created_at AS created,
    COALESCE(e.ended_at, e.created_at) AS last_modified
   FROM public.experiment e;


--
-- Name: VIEW model_session; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.model_session IS 'DashAI''s sessions: one row an experiment.';


--
-- Name: COLUMN model_session.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.model_session.id IS 'Key: experiment.id';


--
-- Name: COLUMN model_session.name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.model_session.name IS 'Name of the experiment, and its run number from the second on';


--
-- Name: COLUMN model_session.description; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.model_session.description IS 'Free text of the user';


--
-- Name: COLUMN model_session.task_name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.model_session.task_name IS 'Always optimization';


--
-- Name: COLUMN model_session.input_columns; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.model_session.input_columns IS 'Names of the parameters, as JSON';


--
-- Name: COLUMN model_session.output_columns; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.model_session.output_columns IS 'Names of the objectives, as JSON';


--
-- Name: COLUMN model_session.created; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.model_session.created IS 'When it was set up, UTC';


--
-- Name: COLUMN model_session.last_modified; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.model_session.last_modified IS 'When its last head ended, else when it was set up, UTC';


--
-- Name: objective_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.objective_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: objective_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.objective_id_seq OWNED BY public.objective.id;


--
-- Name: outcome_data; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.outcome_data AS
 SELECT o.id AS unique_id,
    o.trial_id AS iteration_id,
    o.mean AS outcome_value,
    b.name AS outcome_name
   FROM (public.outcome o
     JOIN public.objective b ON ((b.id = o.objective_id)));


--
-- Name: VIEW outcome_data; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.outcome_data IS 'AEPsych''s outcomes: one row an objective of a trial that has an outcome.';


--
-- Name: COLUMN outcome_data.unique_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.outcome_data.unique_id IS 'Key: outcome.id';


--
-- Name: COLUMN outcome_data.iteration_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.outcome_data.iteration_id IS 'The iteration: raw_data.unique_id';


--
-- Name: COLUMN outcome_data.outcome_value; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.outcome_data.outcome_value IS 'Value of the outcome';


--
-- Name: COLUMN outcome_data.outcome_name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.outcome_data.outcome_name IS 'Name of the objective';


--
-- Name: outcome_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.outcome_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: outcome_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.outcome_id_seq OWNED BY public.outcome.id;


--
-- Name: param_data; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.param_data AS
 SELECT (((t.id)::bigint * 65536) + p."position") AS unique_id,
    t.id AS iteration_id,
    p.name AS parameter_name,
        CASE
            WHEN (json_typeof(v.value) <> 'boolean'::text) THEN (v.value #>> '{}'::text[])
            WHEN ((v.value #>> '{}'::text[]) = 'true'::text) THEN '1'::text
            ELSE '0'::text
        END AS parameter_value,
    p.name AS param_name,
        CASE
            WHEN (json_typeof(v.value) <> 'boolean'::text) THEN (v.value #>> '{}'::text[])
            WHEN ((v.value #>> '{}'::text[]) = 'true'::text) THEN '1'::text
            ELSE '0'::text
        END AS param_value
   FROM ((public.trial t
     CROSS JOIN LATERAL json_each(t.parameters) v(key, value))
     CROSS JOIN public.parameter p)
  WHERE ((p.experiment_id = t.experiment_id) AND ((p.name)::text = v.key) AND (EXISTS ( SELECT 1
           FROM public.outcome o
          WHERE (o.trial_id = t.id))));


--
-- Name: VIEW param_data; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.param_data IS 'AEPsych''s parameters: one row a parameter of a trial that has an outcome.';


--
-- Name: COLUMN param_data.unique_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.param_data.unique_id IS 'Key: trial.id * 65536 + the parameter''s position';


--
-- Name: COLUMN param_data.iteration_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.param_data.iteration_id IS 'The iteration: raw_data.unique_id';


--
-- Name: COLUMN param_data.parameter_name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.param_data.parameter_name IS 'Name of the parameter';


--
-- Name: COLUMN param_data.parameter_value; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.param_data.parameter_value IS 'Its value; truth values are 1 and 0';


--
-- Name: COLUMN param_data.param_name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.param_data.param_name IS 'The same as parameter_name';


--
-- Name: COLUMN param_data.param_value; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.param_data.param_value IS 'The same as parameter_value';


--
-- Name: parameter_constraint; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.parameter_constraint (
    id integer NOT NULL,
    experiment_id integer NOT NULL,
    "position" integer NOT NULL,
    text text NOT NULL,
    coefficients json,
    bound double precision
);


--
-- Name: TABLE parameter_constraint; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.parameter_constraint IS 'One comparison that every point has to meet.';


--
-- Name: COLUMN parameter_constraint.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_constraint.id IS 'Key';


--
-- Name: COLUMN parameter_constraint.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_constraint.experiment_id IS 'Experiment';


--
-- Name: COLUMN parameter_constraint."position"; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_constraint."position" IS 'Order in which it was given, from 0';


--
-- Name: COLUMN parameter_constraint.text; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_constraint.text IS 'As the user wrote it';


--
-- Name: COLUMN parameter_constraint.coefficients; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_constraint.coefficients IS 'Linear ones: sum(coefficient * parameter) <= bound';


--
-- Name: COLUMN parameter_constraint.bound; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_constraint.bound IS 'Linear ones: the right-hand side';


--
-- Name: parameter_constraint_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.parameter_constraint_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: parameter_constraint_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.parameter_constraint_id_seq OWNED BY public.parameter_constraint.id;


--
-- Name: parameter_constraint_v2; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.parameter_constraint_v2 AS
 SELECT c.bound,
    NULLIF((c.coefficients)::text, 'null'::text) AS constraint_dict,
    c.experiment_id,
    c.id,
    NULL::integer AS generator_run_id,
    (0)::smallint AS type
   FROM public.parameter_constraint c
  WHERE ((c.bound IS NOT NULL) AND (NULLIF((c.coefficients)::text, 'null'::text) <> '{}'::text) AND (NOT (EXISTS ( SELECT 1
           FROM json_object_keys(
                CASE json_typeof(c.coefficients)
                    WHEN 'object'::text THEN c.coefficients
                    ELSE NULL::json
                END) k(key)
          WHERE ((k.key = ANY (ARRAY['E'::text, 'I'::text, 'N'::text, 'O'::text, 'Q'::text, 'S'::text, 'Abs'::text, 'Add'::text, 'And'::text, 'Max'::text, 'Min'::text, 'Mod'::text, 'Mul'::text, 'Not'::text, 'Or'::text, 'Order'::text, 'Pow'::text, 'Range'::text, 'Sum'::text, 'Chi'::text, 'Ci'::text, 'Si'::text, 'Li'::text, 'FF'::text, 'GF'::text, 'QQ'::text, 'RR'::text, 'ZZ'::text, 'abs'::text, 'all'::text, 'and'::text, 'any'::text, 'arg'::text, 'as'::text, 'beta'::text, 'bin'::text, 'class'::text, 'core'::text, 'cos'::text, 'cosh'::text, 'cot'::text, 'cse'::text, 'def'::text, 'deg'::text, 'degree'::text, 'del'::text, 'det'::text, 'diag'::text, 'diff'::text, 'dir'::text, 'div'::text, 'exp'::text, 'eye'::text, 'field'::text, 'filter'::text, 'floor'::text, 'for'::text, 'frac'::text, 'from'::text, 'gamma'::text, 'gcd'::text, 'group'::text, 'hash'::text, 'id'::text, 'if'::text, 'im'::text, 'in'::text, 'input'::text, 'is'::text, 'lambda'::text, 'lcm'::text, 'len'::text, 'li'::text, 'limit'::text, 'ln'::text, 'log'::text, 'max'::text, 'min'::text, 'nan'::text, 'next'::text, 'not'::text, 'oct'::text, 'ones'::text, 'open'::text, 'or'::text, 'ord'::text, 'order'::text, 'pass'::text, 'per'::text, 'pi'::text, 'poly'::text, 'pow'::text, 'prime'::text, 'prod'::text, 'product'::text, 'quo'::text, 'rad'::text, 'range'::text, 're'::text, 'rem'::text, 'repr'::text, 'root'::text, 'round'::text, 'sec'::text, 'set'::text, 'shape'::text, 'sign'::text, 'sin'::text, 'sinc'::text, 'sinh'::text, 'size'::text, 'slice'::text, 'sqrt'::text, 'sum'::text, 'take'::text, 'tan'::text, 'tanh'::text, 'test'::text, 'trace'::text, 'trunc'::text, 'type'::text, 'use'::text, 'var'::text, 'vars'::text, 'with'::text, 'zeros'::text, 'zeta'::text])) OR (NOT (EXISTS ( SELECT 1
                   FROM public.parameter p
                  WHERE ((p.experiment_id = c.experiment_id) AND ((p.name)::text = k.key) AND ((p.kind)::text = 'range'::text) AND (NOT p.log_scale) AND (p.lower < p.upper))))))))));


--
-- Name: VIEW parameter_constraint_v2; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.parameter_constraint_v2 IS 'Ax''s parameter constraints: the linear ones between ranges without a log scale.';


--
-- Name: COLUMN parameter_constraint_v2.bound; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_constraint_v2.bound IS 'Right-hand side';


--
-- Name: COLUMN parameter_constraint_v2.constraint_dict; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_constraint_v2.constraint_dict IS 'Coefficients by name, as JSON';


--
-- Name: COLUMN parameter_constraint_v2.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_constraint_v2.experiment_id IS 'The experiment: experiment_v2.id';


--
-- Name: COLUMN parameter_constraint_v2.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_constraint_v2.id IS 'Key: parameter_constraint.id';


--
-- Name: COLUMN parameter_constraint_v2.generator_run_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_constraint_v2.generator_run_id IS 'Always NULL: all of an experiment''s generator runs share its space';


--
-- Name: COLUMN parameter_constraint_v2.type; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_constraint_v2.type IS 'Always 0: sum(coefficient * parameter) <= bound';


--
-- Name: parameter_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.parameter_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: parameter_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.parameter_id_seq OWNED BY public.parameter.id;


--
-- Name: parameter_v2; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.parameter_v2 AS
 SELECT (p.domain)::smallint AS domain_type,
    p.experiment_id,
    p.id,
    NULL::integer AS generator_run_id,
    p.name,
    (
        CASE p.value_type
            WHEN 'bool'::text THEN 0
            WHEN 'int'::text THEN 1
            WHEN 'float'::text THEN 2
            ELSE 3
        END)::smallint AS parameter_type,
    (0)::boolean AS is_fidelity,
    NULL::text AS target_value,
    NULL::text AS backfill_value,
    NULL::text AS default_value,
    NULL::integer AS digits,
    NULL::double precision AS step_size,
        CASE
            WHEN (p.domain = 1) THEN p.log_scale
            ELSE NULL::boolean
        END AS log_scale,
        CASE
            WHEN (p.domain = 1) THEN p.lower
            ELSE NULL::double precision
        END AS lower,
        CASE
            WHEN (p.domain = 1) THEN p.upper
            ELSE NULL::double precision
        END AS upper,
        CASE
            WHEN (p.domain = 2) THEN NULLIF((p.choices)::text, 'null'::text)
            ELSE NULL::text
        END AS choice_values,
        CASE
            WHEN (p.domain = 2) THEN p.is_ordered
            ELSE NULL::boolean
        END AS is_ordered,
        CASE
            WHEN (p.domain = 2) THEN (0)::boolean
            ELSE NULL::boolean
        END AS is_task,
    NULL::text AS dependents,
        CASE
            WHEN (p.domain <> 0) THEN NULL::text
            WHEN ((p.kind)::text = 'fixed'::text) THEN ((p.fixed_value -> 'value'::text))::text
            WHEN ((p.kind)::text = 'choice'::text) THEN ((p.choices -> 0))::text
            WHEN ((p.value_type)::text = 'int'::text) THEN ((p.lower)::numeric)::text
            ELSE
            CASE
                WHEN ((p.lower <> (0)::double precision) AND (abs(p.lower) < (1)::double precision)) THEN TRIM(BOTH FROM to_char(((p.lower)::text)::numeric, '9.9999999999999999EEEE'::text))
                ELSE (p.lower)::text
            END
        END AS fixed_value,
    NULL::text AS expression_str
   FROM ( SELECT p_1.id,
            p_1.experiment_id,
            p_1."position",
            p_1.name,
            p_1.kind,
            p_1.value_type,
            p_1.lower,
            p_1.upper,
            p_1.log_scale,
            p_1.choices,
            p_1.is_ordered,
            p_1.fixed_value,
                CASE
                    WHEN ((p_1.kind)::text = 'fixed'::text) THEN 0
                    WHEN (((p_1.kind)::text = 'range'::text) AND (p_1.lower = p_1.upper)) THEN 0
                    WHEN ((p_1.kind)::text = 'range'::text) THEN 1
                    WHEN (json_array_length(p_1.choices) = 1) THEN 0
                    ELSE 2
                END AS domain
           FROM public.parameter p_1) p;


--
-- Name: VIEW parameter_v2; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.parameter_v2 IS 'Ax''s parameters: one row a parameter of an experiment.';


--
-- Name: COLUMN parameter_v2.domain_type; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_v2.domain_type IS '0 fixed, 1 range, 2 choice; what has only one value is fixed';


--
-- Name: COLUMN parameter_v2.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_v2.experiment_id IS 'The experiment: experiment_v2.id';


--
-- Name: COLUMN parameter_v2.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_v2.id IS 'Key: parameter.id';


--
-- Name: COLUMN parameter_v2.generator_run_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_v2.generator_run_id IS 'Always NULL: all of an experiment''s generator runs share its space';


--
-- Name: COLUMN parameter_v2.name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_v2.name IS 'Name';


--
-- Name: COLUMN parameter_v2.parameter_type; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_v2.parameter_type IS '0 bool, 1 int, 2 float, 3 string';


--
-- Name: COLUMN parameter_v2.is_fidelity; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_v2.is_fidelity IS 'Always false';


--
-- Name: COLUMN parameter_v2.target_value; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_v2.target_value IS 'Always NULL: there are no fidelities and tasks';


--
-- Name: COLUMN parameter_v2.backfill_value; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_v2.backfill_value IS 'Always NULL: every trial has all parameters';


--
-- Name: COLUMN parameter_v2.default_value; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_v2.default_value IS 'Always NULL: every trial has all parameters';


--
-- Name: COLUMN parameter_v2.digits; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_v2.digits IS 'Always NULL: values are not rounded';


--
-- Name: COLUMN parameter_v2.step_size; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_v2.step_size IS 'Always NULL: ranges have no steps';


--
-- Name: COLUMN parameter_v2.log_scale; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_v2.log_scale IS 'Range: searched on a log scale';


--
-- Name: COLUMN parameter_v2.lower; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_v2.lower IS 'Range: lowest value';


--
-- Name: COLUMN parameter_v2.upper; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_v2.upper IS 'Range: highest value';


--
-- Name: COLUMN parameter_v2.choice_values; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_v2.choice_values IS 'Choice: the values, as JSON';


--
-- Name: COLUMN parameter_v2.is_ordered; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_v2.is_ordered IS 'Choice: the order has a meaning';


--
-- Name: COLUMN parameter_v2.is_task; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_v2.is_task IS 'Choice: false';


--
-- Name: COLUMN parameter_v2.dependents; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_v2.dependents IS 'Always NULL: spaces are flat';


--
-- Name: COLUMN parameter_v2.fixed_value; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_v2.fixed_value IS 'Fixed: the value, as JSON';


--
-- Name: COLUMN parameter_v2.expression_str; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.parameter_v2.expression_str IS 'Always NULL: no parameter is derived from others';


--
-- Name: raw_data; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.raw_data AS
 SELECT t.id AS unique_id,
    t.completed_at AS "timestamp",
    t.experiment_id AS master_table_id,
    ((t.id)::bigint * 65536) AS parameter_id,
    (1)::boolean AS model_data
   FROM public.trial t
  WHERE (EXISTS ( SELECT 1
           FROM public.outcome o
          WHERE (o.trial_id = t.id)));


--
-- Name: VIEW raw_data; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.raw_data IS 'AEPsych''s iterations: one row a trial that has an outcome.';


--
-- Name: COLUMN raw_data.unique_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.raw_data.unique_id IS 'Key: trial.id';


--
-- Name: COLUMN raw_data."timestamp"; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.raw_data."timestamp" IS 'When the trial''s status became final, UTC';


--
-- Name: COLUMN raw_data.master_table_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.raw_data.master_table_id IS 'The experiment: master.unique_id';


--
-- Name: COLUMN raw_data.parameter_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.raw_data.parameter_id IS 'The trial''s first parameter: param_data.unique_id';


--
-- Name: COLUMN raw_data.model_data; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.raw_data.model_data IS 'Always true: every outcome is told to the generator';


--
-- Name: replay_data; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.replay_data AS
 SELECT v.id AS unique_id,
    v.created_at AS "timestamp",
    v.kind AS message_type,
    NULLIF((v.payload)::text, 'null'::text) AS message_contents,
    (('{"trial_index": '::text || (t.index)::text) || '}'::text) AS extra_info,
    v.experiment_id AS master_table_id
   FROM (public.event v
     LEFT JOIN public.trial t ON ((t.id = v.trial_id)));


--
-- Name: VIEW replay_data; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.replay_data IS 'AEPsych''s messages: one row an event, in the order of unique_id.';


--
-- Name: COLUMN replay_data.unique_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.replay_data.unique_id IS 'Key: event.id';


--
-- Name: COLUMN replay_data."timestamp"; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.replay_data."timestamp" IS 'When it happened, UTC';


--
-- Name: COLUMN replay_data.message_type; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.replay_data.message_type IS 'setup, ask, tell, exit or the kind of a decision';


--
-- Name: COLUMN replay_data.message_contents; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.replay_data.message_contents IS 'The event''s payload as JSON';


--
-- Name: COLUMN replay_data.extra_info; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.replay_data.extra_info IS 'The trial it is about as JSON, {"trial_index": N}; NULL for none';


--
-- Name: COLUMN replay_data.master_table_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.replay_data.master_table_id IS 'The experiment: master.unique_id';


--
-- Name: report; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.report (
    id integer NOT NULL,
    attempt_id integer NOT NULL,
    kind character varying(20) NOT NULL,
    sequence integer NOT NULL,
    payload json NOT NULL,
    created_at timestamp with time zone NOT NULL,
    consumed_at timestamp with time zone,
    refused_reason text,
    CONSTRAINT ck_report_reportkind CHECK (((kind)::text = ANY ((ARRAY['START'::character varying, 'METRIC'::character varying, 'END'::character varying])::text[])))
);


--
-- Name: TABLE report; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.report IS 'One append-only message from a worker about an attempt.';


--
-- Name: COLUMN report.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.report.id IS 'Key; says nothing about the order';


--
-- Name: COLUMN report.attempt_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.report.attempt_id IS 'The attempt it is about';


--
-- Name: COLUMN report.kind; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.report.kind IS 'START, METRIC or END';


--
-- Name: COLUMN report.sequence; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.report.sequence IS 'Counts the reports of a kind, from 0';


--
-- Name: COLUMN report.payload; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.report.payload IS 'What it says';


--
-- Name: COLUMN report.created_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.report.created_at IS 'When the database took it';


--
-- Name: COLUMN report.consumed_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.report.consumed_at IS 'When the head had dealt with it';


--
-- Name: COLUMN report.refused_reason; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.report.refused_reason IS 'Why it was kept but not used';


--
-- Name: report_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.report_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: report_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.report_id_seq OWNED BY public.report.id;


--
-- Name: run; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.run AS
 SELECT t.id,
    t.experiment_id AS model_session_id,
    t.created_at AS created,
    COALESCE(t.completed_at, t.run_started_at, t.staged_at, t.created_at) AS last_modified,
    g.generator AS model_name,
    NULLIF((t.parameters)::text, 'null'::text) AS parameters,
    n.generator AS optimizer_name,
    (((((('{"num_trials": '::text || COALESCE((n.num_trials)::text, 'null'::text)) || ', "min_observed": '::text) || (n.min_observed)::text) || ', "seed": '::text) || (g.seed)::text) || '}'::text) AS optimizer_parameters,
    ( SELECT b.name
           FROM public.objective b
          WHERE (b.experiment_id = t.experiment_id)
          ORDER BY b."position"
         LIMIT 1) AS goal_metric,
    ((
        CASE
            WHEN (e.run_number = 1) THEN (e.name)::text
            ELSE (((e.name)::text || '/'::text) || (e.run_number)::text)
        END || ' trial '::text) || (t.index)::text) AS name,
    e.description,
    (('['::text || COALESCE(( SELECT string_agg(x.member, ','::text) AS string_agg
           FROM ( SELECT (((('{"name": '::text || COALESCE((to_json(a.name))::text, 'null'::text)) || ', "url": '::text) || COALESCE((to_json(a.url))::text, 'null'::text)) || '}'::text) AS member
                   FROM public.artifact a
                  WHERE (a.trial_id = t.id)
                  ORDER BY a.id) x), ''::text)) || ']'::text) AS artifacts,
    e.run_dir AS run_path,
        CASE
            WHEN (t.status = ANY (ARRAY[0, 8])) THEN 'NOT_STARTED'::text
            WHEN (t.status = 1) THEN 'DELIVERED'::text
            WHEN (t.status = 4) THEN 'STARTED'::text
            WHEN (t.status = ANY (ARRAY[3, 7])) THEN 'FINISHED'::text
            WHEN (t.status = ANY (ARRAY[2, 5])) THEN 'ERROR'::text
            ELSE NULL::text
        END AS status,
    t.status_reason,
    t.staged_at AS delivery_time,
    t.run_started_at AS start_time,
    t.completed_at AS end_time,
    NULL::text AS plot_history_path,
    NULL::text AS plot_slice_path,
    NULL::text AS plot_contour_path,
    NULL::text AS plot_importance_path
   FROM (((public.trial t
     JOIN public.experiment e ON ((e.id = t.experiment_id)))
     LEFT JOIN public.generation g ON ((g.id = t.generation_id)))
     LEFT JOIN public.generation_node n ON (((n.experiment_id = g.experiment_id) AND (n."position" = g.node))));


--
-- Name: VIEW run; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.run IS 'DashAI''s runs: one row a trial; their metrics are in the table metric.';


--
-- Name: COLUMN run.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.run.id IS 'Key: trial.id, and so metric.trial_id';


--
-- Name: COLUMN run.model_session_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.run.model_session_id IS 'The session: model_session.id';


--
-- Name: COLUMN run.created; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.run.created IS 'When it was proposed, UTC';


--
-- Name: COLUMN run.last_modified; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.run.last_modified IS 'When its status changed last, UTC';


--
-- Name: COLUMN run.model_name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.run.model_name IS 'The generator that proposed it; NULL for an imported trial';


--
-- Name: COLUMN run.parameters; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.run.parameters IS 'Parameter values by name, as JSON';


--
-- Name: COLUMN run.optimizer_name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.run.optimizer_name IS 'The generator of the strategy''s step that it counts for';


--
-- Name: COLUMN run.optimizer_parameters; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.run.optimizer_parameters IS 'That step''s num_trials and min_observed, and the call''s seed';


--
-- Name: COLUMN run.goal_metric; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.run.goal_metric IS 'Name of the first objective';


--
-- Name: COLUMN run.name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.run.name IS 'Experiment, run number from the second on, and number of the trial';


--
-- Name: COLUMN run.description; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.run.description IS 'Free text of the user on the experiment';


--
-- Name: COLUMN run.artifacts; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.run.artifacts IS 'Its artifacts as JSON: a list of name and url';


--
-- Name: COLUMN run.run_path; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.run.run_path IS 'The run folder, absolute';


--
-- Name: COLUMN run.status; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.run.status IS 'NOT_STARTED, DELIVERED, STARTED, FINISHED or ERROR';


--
-- Name: COLUMN run.status_reason; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.run.status_reason IS 'Why it ended in ERROR, in a sentence';


--
-- Name: COLUMN run.delivery_time; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.run.delivery_time IS 'When its first attempt was planned, UTC';


--
-- Name: COLUMN run.start_time; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.run.start_time IS 'When a worker first claimed it, UTC';


--
-- Name: COLUMN run.end_time; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.run.end_time IS 'When its status became final, UTC';


--
-- Name: COLUMN run.plot_history_path; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.run.plot_history_path IS 'Always NULL: figures are in the table card';


--
-- Name: COLUMN run.plot_slice_path; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.run.plot_slice_path IS 'Always NULL: figures are in the table card';


--
-- Name: COLUMN run.plot_contour_path; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.run.plot_contour_path IS 'Always NULL: figures are in the table card';


--
-- Name: COLUMN run.plot_importance_path; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.run.plot_importance_path IS 'Always NULL: figures are in the table card';


--
-- Name: runner; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.runner AS
 SELECT NULL::integer AS id,
    NULL::integer AS experiment_id,
    NULL::text AS properties,
    NULL::integer AS runner_type,
    NULL::integer AS trial_id,
    NULL::text AS trial_type
  WHERE (1 = 0);


--
-- Name: VIEW runner; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.runner IS 'Ax''s runners: always empty, since Headway runs the trials.';


--
-- Name: COLUMN runner.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.runner.id IS 'Always NULL: no rows';


--
-- Name: COLUMN runner.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.runner.experiment_id IS 'Always NULL: no rows';


--
-- Name: COLUMN runner.properties; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.runner.properties IS 'Always NULL: no rows';


--
-- Name: COLUMN runner.runner_type; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.runner.runner_type IS 'Always NULL: no rows';


--
-- Name: COLUMN runner.trial_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.runner.trial_id IS 'Always NULL: no rows';


--
-- Name: COLUMN runner.trial_type; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.runner.trial_type IS 'Always NULL: no rows';


--
-- Name: spec_version_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.spec_version_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: spec_version_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.spec_version_id_seq OWNED BY public.spec_version.id;


--
-- Name: strategy_snapshot; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.strategy_snapshot (
    id integer NOT NULL,
    experiment_id integer NOT NULL,
    reason character varying(20) NOT NULL,
    node integer NOT NULL,
    generator character varying(100) NOT NULL,
    document json NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_strategy_snapshot_snapshotreason CHECK (((reason)::text = ANY ((ARRAY['NODE_CHANGE'::character varying, 'HEAD_END'::character varying])::text[])))
);


--
-- Name: TABLE strategy_snapshot; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.strategy_snapshot IS 'Where the strategy of an experiment stood; enough to go on from there.';


--
-- Name: COLUMN strategy_snapshot.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.strategy_snapshot.id IS 'Key';


--
-- Name: COLUMN strategy_snapshot.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.strategy_snapshot.experiment_id IS 'Experiment';


--
-- Name: COLUMN strategy_snapshot.reason; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.strategy_snapshot.reason IS 'What made it worth keeping';


--
-- Name: COLUMN strategy_snapshot.node; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.strategy_snapshot.node IS 'Position of the step that is filled now';


--
-- Name: COLUMN strategy_snapshot.generator; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.strategy_snapshot.generator IS 'The generator of that step';


--
-- Name: COLUMN strategy_snapshot.document; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.strategy_snapshot.document IS 'Steps with their counts, state of each generator, number of the next call';


--
-- Name: COLUMN strategy_snapshot.created_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.strategy_snapshot.created_at IS 'When';


--
-- Name: strat_data; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.strat_data AS
 SELECT s.id AS unique_id,
    s.created_at AS "timestamp",
    NULLIF((s.document)::text, 'null'::text) AS strat,
    s.experiment_id AS master_table_id
   FROM public.strategy_snapshot s;


--
-- Name: VIEW strat_data; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.strat_data IS 'AEPsych''s saved strategies: one row a snapshot of the strategy, as JSON.';


--
-- Name: COLUMN strat_data.unique_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.strat_data.unique_id IS 'Key: strategy_snapshot.id';


--
-- Name: COLUMN strat_data."timestamp"; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.strat_data."timestamp" IS 'When the strategy stood there, UTC';


--
-- Name: COLUMN strat_data.strat; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.strat_data.strat IS 'The snapshot as JSON';


--
-- Name: COLUMN strat_data.master_table_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.strat_data.master_table_id IS 'The experiment: master.unique_id';


--
-- Name: strategy_snapshot_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.strategy_snapshot_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: strategy_snapshot_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.strategy_snapshot_id_seq OWNED BY public.strategy_snapshot.id;


--
-- Name: submission; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.submission (
    id integer NOT NULL,
    experiment_id integer NOT NULL,
    token character varying(32) NOT NULL,
    size integer NOT NULL,
    resources json NOT NULL,
    state character varying(20) NOT NULL,
    slurm_job_id character varying(40),
    message text,
    created_at timestamp with time zone NOT NULL,
    answered_at timestamp with time zone,
    CONSTRAINT ck_submission_submissionstate CHECK (((state)::text = ANY ((ARRAY['PREPARED'::character varying, 'ACCEPTED'::character varying, 'REFUSED'::character varying, 'UNCLEAR'::character varying])::text[])))
);


--
-- Name: TABLE submission; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.submission IS 'One call of sbatch: one job or one array, carrying one or more attempts.';


--
-- Name: COLUMN submission.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.submission.id IS 'Key';


--
-- Name: COLUMN submission.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.submission.experiment_id IS 'Experiment';


--
-- Name: COLUMN submission.token; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.submission.token IS 'Part of the job''s name; identifies the submission';


--
-- Name: COLUMN submission.size; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.submission.size IS 'Number of attempts it carries';


--
-- Name: COLUMN submission.resources; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.submission.resources IS 'What was requested of the scheduler';


--
-- Name: COLUMN submission.state; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.submission.state IS 'What became of the call';


--
-- Name: COLUMN submission.slurm_job_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.submission.slurm_job_id IS 'Job id, when known';


--
-- Name: COLUMN submission.message; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.submission.message IS 'What sbatch said when it did not accept';


--
-- Name: COLUMN submission.created_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.submission.created_at IS 'When it was prepared';


--
-- Name: COLUMN submission.answered_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.submission.answered_at IS 'When its state became known';


--
-- Name: submission_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.submission_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: submission_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.submission_id_seq OWNED BY public.submission.id;


--
-- Name: trial_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.trial_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: trial_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.trial_id_seq OWNED BY public.trial.id;


--
-- Name: trial_v2; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.trial_v2 AS
 SELECT
        CASE
            WHEN (t.status = ANY (ARRAY[5, 8])) THEN substr(t.status_reason, 1, 100)
            ELSE NULL::text
        END AS abandoned_reason,
        CASE
            WHEN (t.status <> ALL (ARRAY[5, 8])) THEN substr(t.status_reason, 1, 100)
            ELSE NULL::text
        END AS failed_reason,
    a.slurm_job_id AS deployed_name,
    t.experiment_id,
    t.id,
    t.index,
    (0)::boolean AS is_batched,
        CASE t.status
            WHEN 0 THEN 'candidate'::text
            WHEN 1 THEN 'staged'::text
            WHEN 2 THEN 'failed'::text
            WHEN 3 THEN 'completed'::text
            WHEN 4 THEN 'running'::text
            WHEN 5 THEN 'abandoned'::text
            WHEN 7 THEN 'early_stopped'::text
            WHEN 8 THEN 'stale'::text
            ELSE NULL::text
        END AS lifecycle_stage,
    1 AS num_arms_created,
    NULL::integer AS ttl_seconds,
        CASE
            WHEN (a.id IS NULL) THEN '{}'::text
            ELSE (((((((((((((((((('{"attempt": '::text || (a.number)::text) || ', "state": '::text) || COALESCE((to_json((a.state)::text))::text, 'null'::text)) || ', "slurm_job_id": '::text) || COALESCE((to_json((a.slurm_job_id)::text))::text, 'null'::text)) || ', "host": '::text) || COALESCE((to_json((a.host)::text))::text, 'null'::text)) || ', "exit_code": '::text) || COALESCE((a.exit_code)::text, 'null'::text)) || ', "signal": '::text) || COALESCE((a.signal)::text, 'null'::text)) || ', "failure_class": '::text) || COALESCE((to_json((a.failure_class)::text))::text, 'null'::text)) || ', "log_path": '::text) || COALESCE((to_json(a.log_path))::text, 'null'::text)) || ', "measured": '::text) || COALESCE(NULLIF((a.measured)::text, 'null'::text), 'null'::text)) || '}'::text)
        END AS run_metadata,
    '{}'::text AS stop_metadata,
    t.status,
    NULL::text AS status_quo_name,
    (floor(EXTRACT(epoch FROM t.completed_at)))::bigint AS time_completed,
    (floor(EXTRACT(epoch FROM t.created_at)))::bigint AS time_created,
    (floor(EXTRACT(epoch FROM t.staged_at)))::bigint AS time_staged,
    (floor(EXTRACT(epoch FROM t.run_started_at)))::bigint AS time_run_started,
    NULL::text AS trial_type,
    g.node AS generation_step_index,
    '{}'::text AS properties
   FROM ((public.trial t
     LEFT JOIN public.generation g ON ((g.id = t.generation_id)))
     LEFT JOIN public.attempt a ON ((a.id = ( SELECT y.id
           FROM public.attempt y
          WHERE (y.trial_id = t.id)
          ORDER BY
                CASE
                    WHEN ((y.state)::text = 'SUCCEEDED'::text) THEN 0
                    ELSE 1
                END, y.number DESC
         LIMIT 1))));


--
-- Name: VIEW trial_v2; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON VIEW public.trial_v2 IS 'Ax''s trials: one row a trial.';


--
-- Name: COLUMN trial_v2.abandoned_reason; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial_v2.abandoned_reason IS 'Why it was abandoned or is no longer wanted, 100 characters';


--
-- Name: COLUMN trial_v2.failed_reason; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial_v2.failed_reason IS 'Why it failed or was stopped early, 100 characters';


--
-- Name: COLUMN trial_v2.deployed_name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial_v2.deployed_name IS 'Job id of the attempt that says most';


--
-- Name: COLUMN trial_v2.experiment_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial_v2.experiment_id IS 'The experiment: experiment_v2.id';


--
-- Name: COLUMN trial_v2.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial_v2.id IS 'Key: trial.id';


--
-- Name: COLUMN trial_v2.index; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial_v2.index IS 'Number within the experiment, from 0';


--
-- Name: COLUMN trial_v2.is_batched; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial_v2.is_batched IS 'Always false: a trial has one arm';


--
-- Name: COLUMN trial_v2.lifecycle_stage; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial_v2.lifecycle_stage IS 'The status as a word';


--
-- Name: COLUMN trial_v2.num_arms_created; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial_v2.num_arms_created IS 'Always 1';


--
-- Name: COLUMN trial_v2.ttl_seconds; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial_v2.ttl_seconds IS 'Always NULL: Headway watches its jobs itself';


--
-- Name: COLUMN trial_v2.run_metadata; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial_v2.run_metadata IS 'JSON: the attempt that says most of the trial';


--
-- Name: COLUMN trial_v2.stop_metadata; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial_v2.stop_metadata IS 'Always {}: the reasons say all';


--
-- Name: COLUMN trial_v2.status; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial_v2.status IS '0 candidate, 1 staged, 2 failed, 3 completed, 4 running, 5 abandoned, 7 early stopped, 8 stale';


--
-- Name: COLUMN trial_v2.status_quo_name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial_v2.status_quo_name IS 'Always NULL: there is no status quo';


--
-- Name: COLUMN trial_v2.time_completed; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial_v2.time_completed IS 'When its status became final, seconds since 1970';


--
-- Name: COLUMN trial_v2.time_created; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial_v2.time_created IS 'When it was proposed, seconds since 1970';


--
-- Name: COLUMN trial_v2.time_staged; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial_v2.time_staged IS 'When its first attempt was planned, seconds since 1970';


--
-- Name: COLUMN trial_v2.time_run_started; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial_v2.time_run_started IS 'When a worker first claimed it, seconds since 1970';


--
-- Name: COLUMN trial_v2.trial_type; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial_v2.trial_type IS 'Always NULL: all trials are of one type';


--
-- Name: COLUMN trial_v2.generation_step_index; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial_v2.generation_step_index IS 'The step that proposed it, from 0';


--
-- Name: COLUMN trial_v2.properties; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.trial_v2.properties IS 'Always {}: the other columns say all';


--
-- Name: artifact id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.artifact ALTER COLUMN id SET DEFAULT nextval('public.artifact_id_seq'::regclass);


--
-- Name: attempt id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.attempt ALTER COLUMN id SET DEFAULT nextval('public.attempt_id_seq'::regclass);


--
-- Name: card id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.card ALTER COLUMN id SET DEFAULT nextval('public.card_id_seq'::regclass);


--
-- Name: code_file id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.code_file ALTER COLUMN id SET DEFAULT nextval('public.code_file_id_seq'::regclass);


--
-- Name: event id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.event ALTER COLUMN id SET DEFAULT nextval('public.event_id_seq'::regclass);


--
-- Name: exclusion id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.exclusion ALTER COLUMN id SET DEFAULT nextval('public.exclusion_id_seq'::regclass);


--
-- Name: experiment id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.experiment ALTER COLUMN id SET DEFAULT nextval('public.experiment_id_seq'::regclass);


--
-- Name: generation id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.generation ALTER COLUMN id SET DEFAULT nextval('public.generation_id_seq'::regclass);


--
-- Name: generation_node id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.generation_node ALTER COLUMN id SET DEFAULT nextval('public.generation_node_id_seq'::regclass);


--
-- Name: host id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.host ALTER COLUMN id SET DEFAULT nextval('public.host_id_seq'::regclass);


--
-- Name: metric id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.metric ALTER COLUMN id SET DEFAULT nextval('public.metric_id_seq'::regclass);


--
-- Name: objective id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.objective ALTER COLUMN id SET DEFAULT nextval('public.objective_id_seq'::regclass);


--
-- Name: outcome id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.outcome ALTER COLUMN id SET DEFAULT nextval('public.outcome_id_seq'::regclass);


--
-- Name: parameter id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.parameter ALTER COLUMN id SET DEFAULT nextval('public.parameter_id_seq'::regclass);


--
-- Name: parameter_constraint id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.parameter_constraint ALTER COLUMN id SET DEFAULT nextval('public.parameter_constraint_id_seq'::regclass);


--
-- Name: report id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.report ALTER COLUMN id SET DEFAULT nextval('public.report_id_seq'::regclass);


--
-- Name: spec_version id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.spec_version ALTER COLUMN id SET DEFAULT nextval('public.spec_version_id_seq'::regclass);


--
-- Name: strategy_snapshot id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.strategy_snapshot ALTER COLUMN id SET DEFAULT nextval('public.strategy_snapshot_id_seq'::regclass);


--
-- Name: submission id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.submission ALTER COLUMN id SET DEFAULT nextval('public.submission_id_seq'::regclass);


--
-- Name: trial id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial ALTER COLUMN id SET DEFAULT nextval('public.trial_id_seq'::regclass);


--
-- Data for Name: alembic_version; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.alembic_version VALUES ('0004');


--
-- Data for Name: artifact; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: attempt; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.attempt VALUES (2, 2, 1, 1, 0, 1, 'f0f2629f903699acf999f7be', 'b4706d2852bce37d', 'SUCCEEDED', 'local-25910-6188203', NULL, 'login1', '{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": [], "requeue": false}', '{"wall_seconds": 0.004165486003330443, "user_seconds": 0.001285, "system_seconds": 0.0, "peak_memory_bytes": 21323776, "program_started_at": "2026-11-21T20:42:19.977150+00:00", "program_ended_at": "2026-11-21T20:42:19.983782+00:00"}', '{"colour": "blue"}', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'logs/3d/3dd0dc882b3a8369_1.log', '2026-11-21 20:42:19.80266+00', '2026-11-21 20:42:19.825681+00', '2026-11-21 20:42:19.954854+00', '2026-11-21 20:42:20.118496+00', '2026-11-21 20:42:19.954854+00');
INSERT INTO public.attempt VALUES (1, 1, 1, 0, 0, 1, '58be389cddea41996a2c5ee4', '1050afa22592c33c', 'SUCCEEDED', 'local-25909-6188203', NULL, 'login1', '{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": [], "requeue": false}', '{"wall_seconds": 0.008207496000977699, "user_seconds": 0.001242, "system_seconds": 0.0, "peak_memory_bytes": 21413888, "program_started_at": "2026-11-21T20:42:20.030015+00:00", "program_ended_at": "2026-11-21T20:42:20.039700+00:00"}', '{"colour": "blue"}', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'logs/3d/3dd0dc882b3a8369_0.log', '2026-11-21 20:42:19.80266+00', '2026-11-21 20:42:19.825678+00', '2026-11-21 20:42:20.01134+00', '2026-11-21 20:42:20.136757+00', '2026-11-21 20:42:20.01134+00');
INSERT INTO public.attempt VALUES (4, 4, 3, 0, 0, 1, 'c8b5142a9f8bf7341a03666c', 'd4244ce8a8d67543', 'SUCCEEDED', 'local-25935-6188242', NULL, 'login1', '{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": [], "requeue": false}', '{"wall_seconds": 0.0106995440000901, "user_seconds": 0.0, "system_seconds": 0.0013599999999999999, "peak_memory_bytes": 21311488, "program_started_at": "2026-11-21T20:42:20.336332+00:00", "program_ended_at": "2026-11-21T20:42:20.362567+00:00"}', '{"colour": "blue"}', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'logs/f9/f95ef1bec1907af6_0.log', '2026-11-21 20:42:20.199229+00', '2026-11-21 20:42:20.211992+00', '2026-11-21 20:42:20.323991+00', '2026-11-21 20:42:20.489145+00', '2026-11-21 20:42:20.323991+00');
INSERT INTO public.attempt VALUES (3, 3, 2, 0, 0, 1, 'dd4c43f594b4c27b023c18c6', 'a6215f4889eae8b8', 'FAILED', 'local-25934-6188239', NULL, 'login1', '{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": [], "requeue": false}', '{"wall_seconds": 0.006993987000896595, "user_seconds": 0.001143, "system_seconds": 0.0, "peak_memory_bytes": 21192704, "program_started_at": "2026-11-21T20:42:20.350394+00:00", "program_ended_at": "2026-11-21T20:42:20.564841+00:00"}', NULL, 1, NULL, NULL, 'PROGRAM', NULL, 'the program ended with exit code 1', 'tried again for the last time', '{"blame": "PAIRED", "exit_code": 1}', 'logs/72/7295df870be3cc14_0.log', '2026-11-21 20:42:20.163485+00', '2026-11-21 20:42:20.193134+00', '2026-11-21 20:42:20.335783+00', '2026-11-21 20:42:20.620916+00', '2026-11-21 20:42:20.335783+00');
INSERT INTO public.attempt VALUES (5, 3, 4, 0, 0, 2, '343baec00ef41ed294d7b810', '1dc44106b742dff3', 'FAILED', 'local-25968-6188286', NULL, 'login1', '{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": [], "requeue": false}', '{"wall_seconds": 0.004868072996032424, "user_seconds": 0.001242, "system_seconds": 0.0, "peak_memory_bytes": 21217280, "program_started_at": "2026-11-21T20:42:20.768914+00:00", "program_ended_at": "2026-11-21T20:42:20.978189+00:00"}', NULL, 1, NULL, NULL, 'PROGRAM', NULL, 'the program ended with exit code 1', 'given up: its one further try was used up', '{"blame": "PAIRED", "exit_code": 1}', 'logs/02/02748e081c336ef5_0.log', '2026-11-21 20:42:20.635514+00', '2026-11-21 20:42:20.65303+00', '2026-11-21 20:42:20.755403+00', '2026-11-21 20:42:21.041011+00', '2026-11-21 20:42:20.755403+00');


--
-- Data for Name: card; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: code_file; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: event; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.event VALUES (1, 1, 'setup', NULL, '{"spec": {"schema_version": 1, "name": "old", "program": "test %(n) -lt 7 && echo \"METRIC: loss=0.5 step=1\" && echo \"OO-Info: colour: blue\" && echo \"LOSS: %(x)\"", "working_folder": "@WORK@", "snapshot": [], "space": {"parameters": [{"name": "x", "value_type": "float", "kind": "range", "lower": 0.0, "upper": 1.0, "log_scale": false}, {"name": "n", "value_type": "int", "kind": "range", "lower": 1, "upper": 8, "log_scale": false}, {"name": "kind", "value_type": "str", "kind": "choice", "choices": ["a", "b"], "is_ordered": false}], "constraints": [{"text": "x + n <= 8", "coefficients": {"x": 1.0, "n": 1.0}, "bound": 8.0}]}, "objectives": [{"name": "LOSS", "minimize": true}], "strategy": {"nodes": [{"generator": "SOBOL", "num_trials": 3, "min_observed": 0}, {"generator": "TPE", "num_trials": null, "min_observed": 2}]}, "resources": {"partition": null, "memory_mb": null, "cpus": 1, "gpus": 0, "nodes": 1, "minutes": null, "account": null, "reservation": null, "qos": null, "constraint": null, "gres": null, "exclude": [], "requeue": false}, "executor": "local", "num_parallel_jobs": 2, "max_eval": 4, "seed": 7, "worker_timeout_seconds": null, "time_limit_seconds": null, "max_failed_jobs": null, "max_failure_rate": null, "retries": 1, "auto_exclude": true, "rules": [], "preflight": null, "description": "a \u201cfirst\u201d search", "participant": null, "user_metadata": {}, "group": null, "timing": {"lease_renew_seconds": 5.0, "lease_expire_seconds": 30.0, "heartbeat_seconds": 15.0, "dead_seconds": 120.0, "spool_grace_seconds": 60.0, "claim_patience_seconds": 600.0, "report_patience_seconds": 60.0, "grace_seconds": 20.0, "slurm_limit_seconds": 60.0, "sacct_limit_seconds": 30.0, "connect_seconds": 10.0, "calls_per_minute": 20.0, "calls_burst": 40, "poll_min_seconds": 2.0, "poll_max_seconds": 60.0, "exclusion_seconds": 21600.0, "preflight_seconds": 60.0}}, "database": "postgresql+psycopg2://headway:***@127.0.0.1:23933/released", "run_dir": "@WORK@/runs/old/1", "versions": {"python": "3.11.7", "headway": "0.1.0", "numpy": "2.4.6", "scipy": "1.17.1", "optuna": "5.0.0"}}', '2026-11-21 20:42:19.271708+00');
INSERT INTO public.event VALUES (2, 1, 'ask', NULL, '{"generation": 0, "step": 0, "generator": "SOBOL", "process": "model", "head": 1, "incarnation": 1, "requested": 2, "seed": 431379789, "state_from": null, "told": [], "told_failed": [], "pending": [], "fallback_reason": null, "trials": [0, 1]}', '2026-11-21 20:42:19.797832+00');
INSERT INTO public.event VALUES (3, 1, 'tell', 2, '{"trial_index": 1, "attempt": 2, "means": {"LOSS": 0.549255003221333}, "sems": {}}', '2026-11-21 20:42:20.125768+00');
INSERT INTO public.event VALUES (4, 1, 'tell', 1, '{"trial_index": 0, "attempt": 1, "means": {"LOSS": 0.30124185513705015}, "sems": {}}', '2026-11-21 20:42:20.139338+00');
INSERT INTO public.event VALUES (5, 1, 'ask', NULL, '{"generation": 1, "step": 0, "generator": "SOBOL", "process": "model", "head": 1, "incarnation": 1, "requested": 1, "seed": 3553817977, "state_from": 0, "told": [1], "told_failed": [], "pending": [0], "fallback_reason": null, "trials": [2]}', '2026-11-21 20:42:20.143362+00');
INSERT INTO public.event VALUES (6, 1, 'ask', NULL, '{"generation": 2, "step": 1, "generator": "TPE", "process": "model", "head": 1, "incarnation": 1, "requested": 1, "seed": 462121814, "state_from": null, "told": [0], "told_failed": [], "pending": [2], "fallback_reason": null, "trials": [3]}', '2026-11-21 20:42:20.181381+00');
INSERT INTO public.event VALUES (7, 1, 'tell', 4, '{"trial_index": 3, "attempt": 4, "means": {"LOSS": 0.0008298126951844509}, "sems": {}}', '2026-11-21 20:42:20.495058+00');
INSERT INTO public.event VALUES (8, 1, 'failure', 3, '{"trial_index": 2, "attempt": 3, "failure": "PROGRAM", "name": null, "message": "the program ended with exit code 1", "evidence": {"blame": "PAIRED", "exit_code": 1}, "host": "login1", "again": true, "action": "tried again for the last time"}', '2026-11-21 20:42:20.622488+00');
INSERT INTO public.event VALUES (9, 1, 'failure', 3, '{"trial_index": 2, "attempt": 5, "failure": "PROGRAM", "name": null, "message": "the program ended with exit code 1", "evidence": {"blame": "PAIRED", "exit_code": 1}, "host": "login1", "again": false, "action": "given up: its one further try was used up"}', '2026-11-21 20:42:21.042647+00');
INSERT INTO public.event VALUES (10, 1, 'tell', 3, '{"trial_index": 2, "attempt": 5, "means": null, "sems": {}}', '2026-11-21 20:42:21.043192+00');
INSERT INTO public.event VALUES (11, 1, 'exit', NULL, '{"how": "DONE", "status": "FINISHED", "reason": null, "head": 1}', '2026-11-21 20:42:21.055425+00');


--
-- Data for Name: exclusion; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: experiment; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.experiment VALUES (1, '3ccc226a-6478-4e3c-bcc8-b1d5b3ecf9af', 'old', 1, NULL, 'a “first” search', NULL, 'null', '{"schema_version": 1, "name": "old", "program": "test %(n) -lt 7 && echo \"METRIC: loss=0.5 step=1\" && echo \"OO-Info: colour: blue\" && echo \"LOSS: %(x)\"", "working_folder": "@WORK@", "snapshot": [], "space": {"parameters": [{"name": "x", "value_type": "float", "kind": "range", "lower": 0.0, "upper": 1.0, "log_scale": false}, {"name": "n", "value_type": "int", "kind": "range", "lower": 1, "upper": 8, "log_scale": false}, {"name": "kind", "value_type": "str", "kind": "choice", "choices": ["a", "b"], "is_ordered": false}], "constraints": [{"text": "x + n <= 8", "coefficients": {"x": 1.0, "n": 1.0}, "bound": 8.0}]}, "objectives": [{"name": "LOSS", "minimize": true}], "strategy": {"nodes": [{"generator": "SOBOL", "num_trials": 3, "min_observed": 0}, {"generator": "TPE", "num_trials": null, "min_observed": 2}]}, "resources": {"partition": null, "memory_mb": null, "cpus": 1, "gpus": 0, "nodes": 1, "minutes": null, "account": null, "reservation": null, "qos": null, "constraint": null, "gres": null, "exclude": [], "requeue": false}, "executor": "local", "num_parallel_jobs": 2, "max_eval": 4, "seed": 7, "worker_timeout_seconds": null, "time_limit_seconds": null, "max_failed_jobs": null, "max_failure_rate": null, "retries": 1, "auto_exclude": true, "rules": [], "preflight": null, "description": "a \u201cfirst\u201d search", "participant": null, "user_metadata": {}, "group": null, "timing": {"lease_renew_seconds": 5.0, "lease_expire_seconds": 30.0, "heartbeat_seconds": 15.0, "dead_seconds": 120.0, "spool_grace_seconds": 60.0, "claim_patience_seconds": 600.0, "report_patience_seconds": 60.0, "grace_seconds": 20.0, "slurm_limit_seconds": 60.0, "sacct_limit_seconds": 30.0, "connect_seconds": 10.0, "calls_per_minute": 20.0, "calls_burst": 40, "poll_min_seconds": 2.0, "poll_max_seconds": 60.0, "exclusion_seconds": 21600.0, "preflight_seconds": 60.0}}', 'FINISHED', NULL, 'root@login1', '@WORK@/runs/old/1', '2026-11-21 20:42:19.257431+00', '2026-11-21 20:42:21.048607+00');


--
-- Data for Name: generation; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.generation VALUES (1, 1, 0, 0, 'SOBOL', 2, 2, 0, 0.01965481699880911, 431379789, '{"seed": 431379789, "position": 2}', 'null', NULL, '2026-11-21 20:42:19.792506+00');
INSERT INTO public.generation VALUES (2, 1, 1, 0, 'SOBOL', 1, 1, 0, 0.0009241849984391592, 3553817977, '{"seed": 431379789, "position": 3}', 'null', NULL, '2026-11-21 20:42:20.14164+00');
INSERT INTO public.generation VALUES (3, 1, 2, 1, 'TPE', 1, 1, 0.0014036349966772832, 0.006863319002150092, 462121814, 'null', 'null', NULL, '2026-11-21 20:42:20.178409+00');


--
-- Data for Name: generation_node; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.generation_node VALUES (1, 1, 0, 'SOBOL', 3, 0);
INSERT INTO public.generation_node VALUES (2, 1, 1, 'TPE', NULL, 2);


--
-- Data for Name: head_lease; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.head_lease VALUES (1, 'login1', '11111111-2222-4333-8444-555555555555', 0, 0, 1, '2026-11-21 20:42:21.062184+00');


--
-- Data for Name: host; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: metric; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.metric VALUES (1, 2, 2, 'loss', 0.5, 'TRAIN', 'STEP', 1, '2026-11-21 20:42:19.982498+00');
INSERT INTO public.metric VALUES (2, 1, 1, 'loss', 0.5, 'TRAIN', 'STEP', 1, '2026-11-21 20:42:20.039271+00');
INSERT INTO public.metric VALUES (3, 4, 4, 'loss', 0.5, 'TRAIN', 'STEP', 1, '2026-11-21 20:42:20.35461+00');


--
-- Data for Name: objective; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.objective VALUES (1, 1, 0, 'LOSS', true);


--
-- Data for Name: outcome; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.outcome VALUES (1, 2, 1, 0.549255003221333, NULL, 'ATTEMPT', 2, NULL);
INSERT INTO public.outcome VALUES (2, 1, 1, 0.30124185513705015, NULL, 'ATTEMPT', 1, NULL);
INSERT INTO public.outcome VALUES (3, 4, 1, 0.0008298126951844509, NULL, 'ATTEMPT', 4, NULL);


--
-- Data for Name: parameter; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.parameter VALUES (1, 1, 0, 'x', 'range', 'float', 0, 1, false, 'null', NULL, 'null');
INSERT INTO public.parameter VALUES (2, 1, 1, 'n', 'range', 'int', 1, 8, false, 'null', NULL, 'null');
INSERT INTO public.parameter VALUES (3, 1, 2, 'kind', 'choice', 'str', NULL, NULL, NULL, '["a", "b"]', false, 'null');


--
-- Data for Name: parameter_constraint; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.parameter_constraint VALUES (1, 1, 0, 'x + n <= 8', '{"x": 1.0, "n": 1.0}', 8);


--
-- Data for Name: report; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.report VALUES (1, 2, 'START', 0, '{"claim": "b4706d2852bce37d", "host": "login1", "slurm_job_id": "local-25910-6188203", "pid": 25910, "started_at": "2026-11-21T20:42:19.848751+00:00"}', '2026-11-21 20:42:19.970346+00', '2026-11-21 20:42:20.126489+00', NULL);
INSERT INTO public.report VALUES (2, 1, 'START', 0, '{"claim": "1050afa22592c33c", "host": "login1", "slurm_job_id": "local-25909-6188203", "pid": 25909, "started_at": "2026-11-21T20:42:19.867327+00:00"}', '2026-11-21 20:42:20.016722+00', '2026-11-21 20:42:20.126489+00', NULL);
INSERT INTO public.report VALUES (3, 2, 'METRIC', 0, '{"metrics": [{"name": "loss", "value": 0.5, "split": "TRAIN", "level": "STEP", "step": 1, "at": "2026-11-21T20:42:19.982498+00:00"}]}', '2026-11-21 20:42:20.023633+00', '2026-11-21 20:42:20.126489+00', NULL);
INSERT INTO public.report VALUES (5, 1, 'METRIC', 0, '{"metrics": [{"name": "loss", "value": 0.5, "split": "TRAIN", "level": "STEP", "step": 1, "at": "2026-11-21T20:42:20.039271+00:00"}]}', '2026-11-21 20:42:20.051988+00', '2026-11-21 20:42:20.126489+00', NULL);
INSERT INTO public.report VALUES (6, 2, 'END', 0, '{"results": {"LOSS": 0.549255003221333}, "sems": {}, "infos": {"colour": "blue"}, "artifacts": [], "problems": [], "cause": "EXIT", "exit_code": 0, "signal": null, "host": "login1", "slurm_job_id": "local-25910-6188203", "started_at": "2026-11-21T20:42:19.977150+00:00", "ended_at": "2026-11-21T20:42:19.983782+00:00", "measured": {"wall_seconds": 0.004165486003330443, "user_seconds": 0.001285, "system_seconds": 0.0, "peak_memory_bytes": 21323776}, "tail": "METRIC: loss=0.5 step=1\nOO-Info: colour: blue\nLOSS: 0.549255003221333\n"}', '2026-11-21 20:42:20.070736+00', '2026-11-21 20:42:20.126489+00', NULL);
INSERT INTO public.report VALUES (7, 1, 'END', 0, '{"results": {"LOSS": 0.30124185513705015}, "sems": {}, "infos": {"colour": "blue"}, "artifacts": [], "problems": [], "cause": "EXIT", "exit_code": 0, "signal": null, "host": "login1", "slurm_job_id": "local-25909-6188203", "started_at": "2026-11-21T20:42:20.030015+00:00", "ended_at": "2026-11-21T20:42:20.039700+00:00", "measured": {"wall_seconds": 0.008207496000977699, "user_seconds": 0.001242, "system_seconds": 0.0, "peak_memory_bytes": 21413888}, "tail": "METRIC: loss=0.5 step=1\nOO-Info: colour: blue\nLOSS: 0.30124185513705015\n"}', '2026-11-21 20:42:20.083578+00', '2026-11-21 20:42:20.139925+00', NULL);
INSERT INTO public.report VALUES (8, 4, 'START', 0, '{"claim": "d4244ce8a8d67543", "host": "login1", "slurm_job_id": "local-25935-6188242", "pid": 25935, "started_at": "2026-11-21T20:42:20.240078+00:00"}', '2026-11-21 20:42:20.332329+00', '2026-11-21 20:42:20.495661+00', NULL);
INSERT INTO public.report VALUES (9, 3, 'START', 0, '{"claim": "a6215f4889eae8b8", "host": "login1", "slurm_job_id": "local-25934-6188239", "pid": 25934, "started_at": "2026-11-21T20:42:20.226198+00:00"}', '2026-11-21 20:42:20.344964+00', '2026-11-21 20:42:20.495661+00', NULL);
INSERT INTO public.report VALUES (10, 4, 'METRIC', 0, '{"metrics": [{"name": "loss", "value": 0.5, "split": "TRAIN", "level": "STEP", "step": 1, "at": "2026-11-21T20:42:20.354610+00:00"}]}', '2026-11-21 20:42:20.400497+00', '2026-11-21 20:42:20.495661+00', NULL);
INSERT INTO public.report VALUES (12, 4, 'END', 0, '{"results": {"LOSS": 0.0008298126951844509}, "sems": {}, "infos": {"colour": "blue"}, "artifacts": [], "problems": [], "cause": "EXIT", "exit_code": 0, "signal": null, "host": "login1", "slurm_job_id": "local-25935-6188242", "started_at": "2026-11-21T20:42:20.336332+00:00", "ended_at": "2026-11-21T20:42:20.362567+00:00", "measured": {"wall_seconds": 0.0106995440000901, "user_seconds": 0.0, "system_seconds": 0.0013599999999999999, "peak_memory_bytes": 21311488}, "tail": "METRIC: loss=0.5 step=1\nOO-Info: colour: blue\nLOSS: 0.0008298126951844509\n"}', '2026-11-21 20:42:20.441678+00', '2026-11-21 20:42:20.495661+00', NULL);
INSERT INTO public.report VALUES (13, 3, 'END', 0, '{"results": {}, "sems": {}, "infos": {}, "artifacts": [], "problems": [], "cause": "EXIT", "exit_code": 1, "signal": null, "host": "login1", "slurm_job_id": "local-25934-6188239", "started_at": "2026-11-21T20:42:20.350394+00:00", "ended_at": "2026-11-21T20:42:20.564841+00:00", "measured": {"wall_seconds": 0.006993987000896595, "user_seconds": 0.001143, "system_seconds": 0.0, "peak_memory_bytes": 21192704}, "tail": ""}', '2026-11-21 20:42:20.593355+00', '2026-11-21 20:42:20.626568+00', NULL);
INSERT INTO public.report VALUES (14, 5, 'START', 0, '{"claim": "1dc44106b742dff3", "host": "login1", "slurm_job_id": "local-25968-6188286", "pid": 25968, "started_at": "2026-11-21T20:42:20.678541+00:00"}', '2026-11-21 20:42:20.762347+00', '2026-11-21 20:42:21.024436+00', NULL);
INSERT INTO public.report VALUES (15, 5, 'END', 0, '{"results": {}, "sems": {}, "infos": {}, "artifacts": [], "problems": [], "cause": "EXIT", "exit_code": 1, "signal": null, "host": "login1", "slurm_job_id": "local-25968-6188286", "started_at": "2026-11-21T20:42:20.768914+00:00", "ended_at": "2026-11-21T20:42:20.978189+00:00", "measured": {"wall_seconds": 0.004868072996032424, "user_seconds": 0.001242, "system_seconds": 0.0, "peak_memory_bytes": 21217280}, "tail": ""}', '2026-11-21 20:42:21.006796+00', '2026-11-21 20:42:21.043742+00', NULL);


--
-- Data for Name: spec_version; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.spec_version VALUES (1, 1, 1, '{"schema_version": 1, "name": "old", "program": "test %(n) -lt 7 && echo \"METRIC: loss=0.5 step=1\" && echo \"OO-Info: colour: blue\" && echo \"LOSS: %(x)\"", "working_folder": "@WORK@", "snapshot": [], "space": {"parameters": [{"name": "x", "value_type": "float", "kind": "range", "lower": 0.0, "upper": 1.0, "log_scale": false}, {"name": "n", "value_type": "int", "kind": "range", "lower": 1, "upper": 8, "log_scale": false}, {"name": "kind", "value_type": "str", "kind": "choice", "choices": ["a", "b"], "is_ordered": false}], "constraints": [{"text": "x + n <= 8", "coefficients": {"x": 1.0, "n": 1.0}, "bound": 8.0}]}, "objectives": [{"name": "LOSS", "minimize": true}], "strategy": {"nodes": [{"generator": "SOBOL", "num_trials": 3, "min_observed": 0}, {"generator": "TPE", "num_trials": null, "min_observed": 2}]}, "resources": {"partition": null, "memory_mb": null, "cpus": 1, "gpus": 0, "nodes": 1, "minutes": null, "account": null, "reservation": null, "qos": null, "constraint": null, "gres": null, "exclude": [], "requeue": false}, "executor": "local", "num_parallel_jobs": 2, "max_eval": 4, "seed": 7, "worker_timeout_seconds": null, "time_limit_seconds": null, "max_failed_jobs": null, "max_failure_rate": null, "retries": 1, "auto_exclude": true, "rules": [], "preflight": null, "description": "a \u201cfirst\u201d search", "participant": null, "user_metadata": {}, "group": null, "timing": {"lease_renew_seconds": 5.0, "lease_expire_seconds": 30.0, "heartbeat_seconds": 15.0, "dead_seconds": 120.0, "spool_grace_seconds": 60.0, "claim_patience_seconds": 600.0, "report_patience_seconds": 60.0, "grace_seconds": 20.0, "slurm_limit_seconds": 60.0, "sacct_limit_seconds": 30.0, "connect_seconds": 10.0, "calls_per_minute": 20.0, "calls_burst": 40, "poll_min_seconds": 2.0, "poll_max_seconds": 60.0, "exclusion_seconds": 21600.0, "preflight_seconds": 60.0}}', 'setup', '2026-11-21 20:42:19.2642+00');


--
-- Data for Name: strategy_snapshot; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.strategy_snapshot VALUES (1, 1, 'NODE_CHANGE', 1, 'TPE', '{"nodes": [{"position": 0, "generator": "SOBOL", "num_trials": 3, "min_observed": 0, "proposed": 3, "observed": 2}, {"position": 1, "generator": "TPE", "num_trials": null, "min_observed": 2, "proposed": 0, "observed": 0}], "states": {"SOBOL": {"number": 1, "state": {"seed": 431379789, "position": 3}}}, "next_generation": 2, "told": 2, "best": [{"objective": "LOSS", "trial": 0, "mean": 0.30124185513705015}]}', '2026-11-21 20:42:20.158199+00');
INSERT INTO public.strategy_snapshot VALUES (2, 1, 'HEAD_END', 1, 'TPE', '{"nodes": [{"position": 0, "generator": "SOBOL", "num_trials": 3, "min_observed": 0, "proposed": 3, "observed": 2}, {"position": 1, "generator": "TPE", "num_trials": null, "min_observed": 2, "proposed": 1, "observed": 1}], "states": {"SOBOL": {"number": 1, "state": {"seed": 431379789, "position": 3}}}, "next_generation": 3, "told": 4, "best": [{"objective": "LOSS", "trial": 3, "mean": 0.0008298126951844509}]}', '2026-11-21 20:42:21.054764+00');


--
-- Data for Name: submission; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.submission VALUES (1, 1, '3dd0dc882b3a8369', 2, '{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": [], "requeue": false}', 'ACCEPTED', 'local-25909-6188203', NULL, '2026-11-21 20:42:19.80266+00', '2026-11-21 20:42:19.824533+00');
INSERT INTO public.submission VALUES (2, 1, '7295df870be3cc14', 1, '{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": [], "requeue": false}', 'ACCEPTED', 'local-25934-6188239', NULL, '2026-11-21 20:42:20.163485+00', '2026-11-21 20:42:20.189245+00');
INSERT INTO public.submission VALUES (3, 1, 'f95ef1bec1907af6', 1, '{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": [], "requeue": false}', 'ACCEPTED', 'local-25935-6188242', NULL, '2026-11-21 20:42:20.199229+00', '2026-11-21 20:42:20.211171+00');
INSERT INTO public.submission VALUES (4, 1, '02748e081c336ef5', 1, '{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": [], "requeue": false}', 'ACCEPTED', 'local-25968-6188286', NULL, '2026-11-21 20:42:20.635514+00', '2026-11-21 20:42:20.652242+00');


--
-- Data for Name: trial; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.trial VALUES (2, 1, 1, 1, '{"x": 0.549255003221333, "n": 2, "kind": "b"}', '3cc5ed25878f1050b08dcf2f68c5c015cc6073004a40d0339a7e3e3f28e2e0ef', 3, NULL, '2026-11-21 20:42:19.794645+00', '2026-11-21 20:42:19.810389+00', '2026-11-21 20:42:20.099809+00', '2026-11-21 20:42:20.123648+00');
INSERT INTO public.trial VALUES (1, 1, 0, 1, '{"x": 0.30124185513705015, "n": 6, "kind": "a"}', '8e48c9a96c1833f2eb347fba95364dec6411ac7be26c4dcba8a832bc7729cf54', 3, NULL, '2026-11-21 20:42:19.794645+00', '2026-11-21 20:42:19.810389+00', '2026-11-21 20:42:20.107519+00', '2026-11-21 20:42:20.137977+00');
INSERT INTO public.trial VALUES (4, 1, 3, 3, '{"x": 0.0008298126951844509, "n": 3, "kind": "a"}', 'c0c33a3d05cd2e0f3d636501869bbefb114af25d438e6a37a529f4641a081a95', 3, NULL, '2026-11-21 20:42:20.180736+00', '2026-11-21 20:42:20.202244+00', '2026-11-21 20:42:20.477931+00', '2026-11-21 20:42:20.490936+00');
INSERT INTO public.trial VALUES (3, 1, 2, 2, '{"x": 0.7731535704806447, "n": 7, "kind": "a"}', '1dadbf5fcf3a4689fc547ccfd1bf0645e95719831248d13f726c8847da085311', 2, 'the program ended with exit code 1', '2026-11-21 20:42:20.142364+00', '2026-11-21 20:42:20.168098+00', '2026-11-21 20:42:20.487026+00', '2026-11-21 20:42:21.041831+00');


--
-- Name: artifact_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.artifact_id_seq', 1, false);


--
-- Name: attempt_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.attempt_id_seq', 5, true);


--
-- Name: card_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.card_id_seq', 1, false);


--
-- Name: code_file_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.code_file_id_seq', 1, false);


--
-- Name: event_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.event_id_seq', 11, true);


--
-- Name: exclusion_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.exclusion_id_seq', 1, false);


--
-- Name: experiment_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.experiment_id_seq', 1, true);


--
-- Name: generation_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.generation_id_seq', 3, true);


--
-- Name: generation_node_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.generation_node_id_seq', 2, true);


--
-- Name: host_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.host_id_seq', 1, false);


--
-- Name: metric_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.metric_id_seq', 3, true);


--
-- Name: objective_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.objective_id_seq', 1, true);


--
-- Name: outcome_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.outcome_id_seq', 3, true);


--
-- Name: parameter_constraint_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.parameter_constraint_id_seq', 1, true);


--
-- Name: parameter_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.parameter_id_seq', 3, true);


--
-- Name: report_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.report_id_seq', 15, true);


--
-- Name: spec_version_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.spec_version_id_seq', 1, true);


--
-- Name: strategy_snapshot_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.strategy_snapshot_id_seq', 2, true);


--
-- Name: submission_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.submission_id_seq', 4, true);


--
-- Name: trial_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.trial_id_seq', 4, true);


--
-- Name: alembic_version alembic_version_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkey PRIMARY KEY (version_num);


--
-- Name: artifact pk_artifact; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.artifact
    ADD CONSTRAINT pk_artifact PRIMARY KEY (id);


--
-- Name: attempt pk_attempt; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.attempt
    ADD CONSTRAINT pk_attempt PRIMARY KEY (id);


--
-- Name: card pk_card; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.card
    ADD CONSTRAINT pk_card PRIMARY KEY (id);


--
-- Name: code_file pk_code_file; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.code_file
    ADD CONSTRAINT pk_code_file PRIMARY KEY (id);


--
-- Name: event pk_event; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.event
    ADD CONSTRAINT pk_event PRIMARY KEY (id);


--
-- Name: exclusion pk_exclusion; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.exclusion
    ADD CONSTRAINT pk_exclusion PRIMARY KEY (id);


--
-- Name: experiment pk_experiment; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.experiment
    ADD CONSTRAINT pk_experiment PRIMARY KEY (id);


--
-- Name: generation pk_generation; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.generation
    ADD CONSTRAINT pk_generation PRIMARY KEY (id);


--
-- Name: generation_node pk_generation_node; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.generation_node
    ADD CONSTRAINT pk_generation_node PRIMARY KEY (id);


--
-- Name: head_lease pk_head_lease; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.head_lease
    ADD CONSTRAINT pk_head_lease PRIMARY KEY (experiment_id);


--
-- Name: host pk_host; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.host
    ADD CONSTRAINT pk_host PRIMARY KEY (id);


--
-- Name: metric pk_metric; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.metric
    ADD CONSTRAINT pk_metric PRIMARY KEY (id);


--
-- Name: objective pk_objective; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.objective
    ADD CONSTRAINT pk_objective PRIMARY KEY (id);


--
-- Name: outcome pk_outcome; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.outcome
    ADD CONSTRAINT pk_outcome PRIMARY KEY (id);


--
-- Name: parameter pk_parameter; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.parameter
    ADD CONSTRAINT pk_parameter PRIMARY KEY (id);


--
-- Name: parameter_constraint pk_parameter_constraint; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.parameter_constraint
    ADD CONSTRAINT pk_parameter_constraint PRIMARY KEY (id);


--
-- Name: report pk_report; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.report
    ADD CONSTRAINT pk_report PRIMARY KEY (id);


--
-- Name: spec_version pk_spec_version; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.spec_version
    ADD CONSTRAINT pk_spec_version PRIMARY KEY (id);


--
-- Name: strategy_snapshot pk_strategy_snapshot; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.strategy_snapshot
    ADD CONSTRAINT pk_strategy_snapshot PRIMARY KEY (id);


--
-- Name: submission pk_submission; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.submission
    ADD CONSTRAINT pk_submission PRIMARY KEY (id);


--
-- Name: trial pk_trial; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial
    ADD CONSTRAINT pk_trial PRIMARY KEY (id);


--
-- Name: attempt uq_attempt_submission_id_array_index_restart; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.attempt
    ADD CONSTRAINT uq_attempt_submission_id_array_index_restart UNIQUE (submission_id, array_index, restart);


--
-- Name: attempt uq_attempt_token; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.attempt
    ADD CONSTRAINT uq_attempt_token UNIQUE (token);


--
-- Name: attempt uq_attempt_trial_id_number; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.attempt
    ADD CONSTRAINT uq_attempt_trial_id_number UNIQUE (trial_id, number);


--
-- Name: code_file uq_code_file_experiment_id_path_sha256; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.code_file
    ADD CONSTRAINT uq_code_file_experiment_id_path_sha256 UNIQUE (experiment_id, path, sha256);


--
-- Name: experiment uq_experiment_name_run_number; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.experiment
    ADD CONSTRAINT uq_experiment_name_run_number UNIQUE (name, run_number);


--
-- Name: experiment uq_experiment_uuid; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.experiment
    ADD CONSTRAINT uq_experiment_uuid UNIQUE (uuid);


--
-- Name: generation uq_generation_experiment_id_number; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.generation
    ADD CONSTRAINT uq_generation_experiment_id_number UNIQUE (experiment_id, number);


--
-- Name: generation_node uq_generation_node_experiment_id_position; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.generation_node
    ADD CONSTRAINT uq_generation_node_experiment_id_position UNIQUE (experiment_id, "position");


--
-- Name: host uq_host_cluster_name; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.host
    ADD CONSTRAINT uq_host_cluster_name UNIQUE (cluster, name);


--
-- Name: objective uq_objective_experiment_id_name; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.objective
    ADD CONSTRAINT uq_objective_experiment_id_name UNIQUE (experiment_id, name);


--
-- Name: outcome uq_outcome_trial_id_objective_id; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.outcome
    ADD CONSTRAINT uq_outcome_trial_id_objective_id UNIQUE (trial_id, objective_id);


--
-- Name: parameter_constraint uq_parameter_constraint_experiment_id_position; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.parameter_constraint
    ADD CONSTRAINT uq_parameter_constraint_experiment_id_position UNIQUE (experiment_id, "position");


--
-- Name: parameter uq_parameter_experiment_id_name; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.parameter
    ADD CONSTRAINT uq_parameter_experiment_id_name UNIQUE (experiment_id, name);


--
-- Name: report uq_report_attempt_id_kind_sequence; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.report
    ADD CONSTRAINT uq_report_attempt_id_kind_sequence UNIQUE (attempt_id, kind, sequence);


--
-- Name: spec_version uq_spec_version_experiment_id_version; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.spec_version
    ADD CONSTRAINT uq_spec_version_experiment_id_version UNIQUE (experiment_id, version);


--
-- Name: submission uq_submission_token; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.submission
    ADD CONSTRAINT uq_submission_token UNIQUE (token);


--
-- Name: trial uq_trial_experiment_id_index; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial
    ADD CONSTRAINT uq_trial_experiment_id_index UNIQUE (experiment_id, index);


--
-- Name: ix_artifact_attempt_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_artifact_attempt_id ON public.artifact USING btree (attempt_id);


--
-- Name: ix_artifact_trial_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_artifact_trial_id ON public.artifact USING btree (trial_id);


--
-- Name: ix_attempt_ended_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_attempt_ended_at ON public.attempt USING btree (ended_at) WHERE (ended_at IS NOT NULL);


--
-- Name: ix_attempt_failed; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_attempt_failed ON public.attempt USING btree (failure_class, trial_id) WHERE (failure_class IS NOT NULL);


--
-- Name: ix_attempt_open; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_attempt_open ON public.attempt USING btree (trial_id) WHERE ((state)::text = ANY ((ARRAY['PLANNED'::character varying, 'SUBMITTED'::character varying, 'STARTED'::character varying])::text[]));


--
-- Name: ix_card_experiment_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_card_experiment_id ON public.card USING btree (experiment_id);


--
-- Name: ix_code_file_attempt_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_code_file_attempt_id ON public.code_file USING btree (attempt_id);


--
-- Name: ix_event_experiment_id_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_event_experiment_id_id ON public.event USING btree (experiment_id, id);


--
-- Name: ix_event_trial_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_event_trial_id ON public.event USING btree (trial_id);


--
-- Name: ix_exclusion_experiment_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_exclusion_experiment_id ON public.exclusion USING btree (experiment_id);


--
-- Name: ix_exclusion_host_id_ended_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_exclusion_host_id_ended_at ON public.exclusion USING btree (host_id, ended_at);


--
-- Name: ix_metric_attempt_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_metric_attempt_id ON public.metric USING btree (attempt_id);


--
-- Name: ix_metric_trial_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_metric_trial_id ON public.metric USING btree (trial_id);


--
-- Name: ix_outcome_attempt_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_outcome_attempt_id ON public.outcome USING btree (attempt_id);


--
-- Name: ix_outcome_objective_id_mean; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_outcome_objective_id_mean ON public.outcome USING btree (objective_id, mean);


--
-- Name: ix_report_unconsumed; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_report_unconsumed ON public.report USING btree (id) WHERE (consumed_at IS NULL);


--
-- Name: ix_strategy_snapshot_experiment_id_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_strategy_snapshot_experiment_id_id ON public.strategy_snapshot USING btree (experiment_id, id);


--
-- Name: ix_submission_experiment_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_submission_experiment_id ON public.submission USING btree (experiment_id);


--
-- Name: ix_trial_experiment_id_completed_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_trial_experiment_id_completed_at ON public.trial USING btree (experiment_id, completed_at);


--
-- Name: ix_trial_experiment_id_status; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_trial_experiment_id_status ON public.trial USING btree (experiment_id, status);


--
-- Name: ix_trial_generation_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_trial_generation_id ON public.trial USING btree (generation_id);


--
-- Name: artifact fk_artifact_attempt_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.artifact
    ADD CONSTRAINT fk_artifact_attempt_id FOREIGN KEY (attempt_id) REFERENCES public.attempt(id) ON DELETE CASCADE;


--
-- Name: artifact fk_artifact_trial_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.artifact
    ADD CONSTRAINT fk_artifact_trial_id FOREIGN KEY (trial_id) REFERENCES public.trial(id) ON DELETE CASCADE;


--
-- Name: attempt fk_attempt_submission_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.attempt
    ADD CONSTRAINT fk_attempt_submission_id FOREIGN KEY (submission_id) REFERENCES public.submission(id);


--
-- Name: attempt fk_attempt_trial_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.attempt
    ADD CONSTRAINT fk_attempt_trial_id FOREIGN KEY (trial_id) REFERENCES public.trial(id) ON DELETE CASCADE;


--
-- Name: card fk_card_experiment_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.card
    ADD CONSTRAINT fk_card_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiment(id) ON DELETE CASCADE;


--
-- Name: card fk_card_parent_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.card
    ADD CONSTRAINT fk_card_parent_id FOREIGN KEY (parent_id) REFERENCES public.card(id) ON DELETE CASCADE;


--
-- Name: code_file fk_code_file_attempt_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.code_file
    ADD CONSTRAINT fk_code_file_attempt_id FOREIGN KEY (attempt_id) REFERENCES public.attempt(id) ON DELETE SET NULL;


--
-- Name: code_file fk_code_file_experiment_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.code_file
    ADD CONSTRAINT fk_code_file_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiment(id) ON DELETE CASCADE;


--
-- Name: event fk_event_experiment_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.event
    ADD CONSTRAINT fk_event_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiment(id) ON DELETE CASCADE;


--
-- Name: event fk_event_trial_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.event
    ADD CONSTRAINT fk_event_trial_id FOREIGN KEY (trial_id) REFERENCES public.trial(id);


--
-- Name: exclusion fk_exclusion_experiment_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.exclusion
    ADD CONSTRAINT fk_exclusion_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiment(id) ON DELETE SET NULL;


--
-- Name: exclusion fk_exclusion_host_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.exclusion
    ADD CONSTRAINT fk_exclusion_host_id FOREIGN KEY (host_id) REFERENCES public.host(id) ON DELETE CASCADE;


--
-- Name: generation fk_generation_experiment_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.generation
    ADD CONSTRAINT fk_generation_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiment(id) ON DELETE CASCADE;


--
-- Name: generation_node fk_generation_node_experiment_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.generation_node
    ADD CONSTRAINT fk_generation_node_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiment(id) ON DELETE CASCADE;


--
-- Name: head_lease fk_head_lease_experiment_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.head_lease
    ADD CONSTRAINT fk_head_lease_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiment(id) ON DELETE CASCADE;


--
-- Name: metric fk_metric_attempt_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.metric
    ADD CONSTRAINT fk_metric_attempt_id FOREIGN KEY (attempt_id) REFERENCES public.attempt(id) ON DELETE CASCADE;


--
-- Name: metric fk_metric_trial_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.metric
    ADD CONSTRAINT fk_metric_trial_id FOREIGN KEY (trial_id) REFERENCES public.trial(id) ON DELETE CASCADE;


--
-- Name: objective fk_objective_experiment_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.objective
    ADD CONSTRAINT fk_objective_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiment(id) ON DELETE CASCADE;


--
-- Name: outcome fk_outcome_attempt_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.outcome
    ADD CONSTRAINT fk_outcome_attempt_id FOREIGN KEY (attempt_id) REFERENCES public.attempt(id);


--
-- Name: outcome fk_outcome_objective_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.outcome
    ADD CONSTRAINT fk_outcome_objective_id FOREIGN KEY (objective_id) REFERENCES public.objective(id) ON DELETE CASCADE;


--
-- Name: outcome fk_outcome_reused_trial_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.outcome
    ADD CONSTRAINT fk_outcome_reused_trial_id FOREIGN KEY (reused_trial_id) REFERENCES public.trial(id);


--
-- Name: outcome fk_outcome_trial_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.outcome
    ADD CONSTRAINT fk_outcome_trial_id FOREIGN KEY (trial_id) REFERENCES public.trial(id) ON DELETE CASCADE;


--
-- Name: parameter_constraint fk_parameter_constraint_experiment_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.parameter_constraint
    ADD CONSTRAINT fk_parameter_constraint_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiment(id) ON DELETE CASCADE;


--
-- Name: parameter fk_parameter_experiment_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.parameter
    ADD CONSTRAINT fk_parameter_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiment(id) ON DELETE CASCADE;


--
-- Name: report fk_report_attempt_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.report
    ADD CONSTRAINT fk_report_attempt_id FOREIGN KEY (attempt_id) REFERENCES public.attempt(id) ON DELETE CASCADE;


--
-- Name: spec_version fk_spec_version_experiment_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.spec_version
    ADD CONSTRAINT fk_spec_version_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiment(id) ON DELETE CASCADE;


--
-- Name: strategy_snapshot fk_strategy_snapshot_experiment_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.strategy_snapshot
    ADD CONSTRAINT fk_strategy_snapshot_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiment(id) ON DELETE CASCADE;


--
-- Name: submission fk_submission_experiment_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.submission
    ADD CONSTRAINT fk_submission_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiment(id) ON DELETE CASCADE;


--
-- Name: trial fk_trial_experiment_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial
    ADD CONSTRAINT fk_trial_experiment_id FOREIGN KEY (experiment_id) REFERENCES public.experiment(id) ON DELETE CASCADE;


--
-- Name: trial fk_trial_generation_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.trial
    ADD CONSTRAINT fk_trial_generation_id FOREIGN KEY (generation_id) REFERENCES public.generation(id);


--
-- PostgreSQL database dump complete
--


