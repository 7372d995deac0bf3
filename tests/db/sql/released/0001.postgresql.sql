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
-- Name: alembic_version; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);


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
    failure_message text,
    log_path text,
    created_at timestamp with time zone NOT NULL,
    submitted_at timestamp with time zone,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    heartbeat_at timestamp with time zone,
    CONSTRAINT ck_attempt_attemptstate CHECK (((state)::text = ANY ((ARRAY['PLANNED'::character varying, 'SUBMITTED'::character varying, 'STARTED'::character varying, 'SUCCEEDED'::character varying, 'FAILED'::character varying, 'LOST'::character varying, 'CANCELLED'::character varying, 'SUPERSEDED'::character varying])::text[]))),
    CONSTRAINT ck_attempt_failureclass CHECK (((failure_class)::text = ANY ((ARRAY['PROGRAM'::character varying, 'NO_RESULT'::character varying, 'TIMEOUT'::character varying, 'OUT_OF_MEMORY'::character varying, 'PREEMPTED'::character varying, 'NODE'::character varying, 'LOST'::character varying, 'NO_DATABASE'::character varying, 'SUBMIT'::character varying, 'CANCELLED'::character varying])::text[])))
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
-- Name: COLUMN attempt.failure_message; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.attempt.failure_message IS 'The same in a sentence';


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

COMMENT ON COLUMN public.metric.split IS 'TRAIN, VALIDATION or TEST';


--
-- Name: COLUMN metric.level; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.metric.level IS 'LAST, STEP, BATCH or TRIAL';


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

COMMENT ON COLUMN public.outcome.source IS 'ATTEMPT, IMPORT or REUSED';


--
-- Name: COLUMN outcome.attempt_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.outcome.attempt_id IS 'The attempt that gave it';


--
-- Name: COLUMN outcome.reused_trial_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.outcome.reused_trial_id IS 'The trial it was taken from';


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
-- Name: artifact id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.artifact ALTER COLUMN id SET DEFAULT nextval('public.artifact_id_seq'::regclass);


--
-- Name: attempt id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.attempt ALTER COLUMN id SET DEFAULT nextval('public.attempt_id_seq'::regclass);


--
-- Name: event id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.event ALTER COLUMN id SET DEFAULT nextval('public.event_id_seq'::regclass);


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

INSERT INTO public.alembic_version VALUES ('0001');


--
-- Data for Name: artifact; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: attempt; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.attempt VALUES (1, 1, 1, 0, 1, 'e721c65d3befe8f2c9188e98', '69289b027f16f459', 'SUCCEEDED', 'local-1172-1321718', NULL, 'login1', '{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": []}', '{"wall_seconds": 0.0037738720002380433, "user_seconds": 0.0013239999999999999, "system_seconds": 0.0, "peak_memory_bytes": 20897792, "program_started_at": "2026-11-21T07:11:15.082242+00:00", "program_ended_at": "2026-11-21T07:11:15.110246+00:00"}', '{"colour": "blue"}', 0, NULL, NULL, NULL, NULL, 'logs/1d/1dc48d8119149b03_0.log', '2026-11-21 07:11:14.964782+00', '2026-11-21 07:11:14.99599+00', '2026-11-21 07:11:15.077057+00', '2026-11-21 07:11:15.145311+00', '2026-11-21 07:11:15.077057+00');
INSERT INTO public.attempt VALUES (2, 2, 1, 1, 1, '6e052b82501d1de072775098', 'b9a5d8ee58938563', 'SUCCEEDED', 'local-1173-1321719', NULL, 'login1', '{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": []}', '{"wall_seconds": 0.01808191199961584, "user_seconds": 0.001174, "system_seconds": 0.0, "peak_memory_bytes": 20938752, "program_started_at": "2026-11-21T07:11:15.098990+00:00", "program_ended_at": "2026-11-21T07:11:15.118335+00:00"}', '{"colour": "blue"}', 0, NULL, NULL, NULL, NULL, 'logs/1d/1dc48d8119149b03_1.log', '2026-11-21 07:11:14.964782+00', '2026-11-21 07:11:14.995994+00', '2026-11-21 07:11:15.088732+00', '2026-11-21 07:11:15.155618+00', '2026-11-21 07:11:15.088732+00');
INSERT INTO public.attempt VALUES (3, 3, 2, 0, 1, 'b1828956e1ffc4512acd138f', '88e90cc47a300775', 'FAILED', 'local-1183-1321738', NULL, 'login1', '{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": []}', '{"wall_seconds": 0.0037216050004644785, "user_seconds": 0.0011949999999999999, "system_seconds": 0.0, "peak_memory_bytes": 20852736, "program_started_at": "2026-11-21T07:11:15.249156+00:00", "program_ended_at": "2026-11-21T07:11:15.254301+00:00"}', NULL, 1, NULL, NULL, 'PROGRAM', 'the program ended with exit code 1', 'logs/5a/5a4c18119eb96cad_0.log', '2026-11-21 07:11:15.162536+00', '2026-11-21 07:11:15.181182+00', '2026-11-21 07:11:15.243281+00', '2026-11-21 07:11:15.295083+00', '2026-11-21 07:11:15.243281+00');
INSERT INTO public.attempt VALUES (4, 4, 2, 1, 1, '90ad19b3481493b071993ae6', '2e05952c800b16f2', 'SUCCEEDED', 'local-1184-1321739', NULL, 'login1', '{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": []}', '{"wall_seconds": 0.005550017000132357, "user_seconds": 0.001175, "system_seconds": 0.0, "peak_memory_bytes": 20840448, "program_started_at": "2026-11-21T07:11:15.262639+00:00", "program_ended_at": "2026-11-21T07:11:15.294266+00:00"}', '{"colour": "blue"}', 0, NULL, NULL, NULL, NULL, 'logs/5a/5a4c18119eb96cad_1.log', '2026-11-21 07:11:15.162536+00', '2026-11-21 07:11:15.181186+00', '2026-11-21 07:11:15.25728+00', '2026-11-21 07:11:15.342735+00', '2026-11-21 07:11:15.25728+00');
INSERT INTO public.attempt VALUES (5, 3, 3, 0, 2, '878366ca4b8cc61e1b0f9d28', '73a5b5efe3c8f474', 'FAILED', 'local-1192-1321752', NULL, 'login1', '{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": []}', '{"wall_seconds": 0.007752363000690821, "user_seconds": 0.001223, "system_seconds": 0.0, "peak_memory_bytes": 20684800, "program_started_at": "2026-11-21T07:11:15.390214+00:00", "program_ended_at": "2026-11-21T07:11:15.399580+00:00"}', NULL, 1, NULL, NULL, 'PROGRAM', 'the program ended with exit code 1', 'logs/ec/ec83de773598eff4_0.log', '2026-11-21 07:11:15.30386+00', '2026-11-21 07:11:15.315612+00', '2026-11-21 07:11:15.385839+00', '2026-11-21 07:11:15.428203+00', '2026-11-21 07:11:15.385839+00');


--
-- Data for Name: event; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.event VALUES (1, 1, 'setup', NULL, '{"spec": {"schema_version": 1, "name": "old", "program": "test %(n) -lt 7 && echo \"METRIC: loss=0.5 step=1\" && echo \"OO-Info: colour: blue\" && echo \"LOSS: %(x)\"", "working_folder": "@WORK@", "space": {"parameters": [{"name": "x", "value_type": "float", "kind": "range", "lower": 0.0, "upper": 1.0, "log_scale": false}, {"name": "n", "value_type": "int", "kind": "range", "lower": 1, "upper": 8, "log_scale": false}, {"name": "kind", "value_type": "str", "kind": "choice", "choices": ["a", "b"], "is_ordered": false}], "constraints": [{"text": "x + n <= 8", "coefficients": {"x": 1.0, "n": 1.0}, "bound": 8.0}]}, "objectives": [{"name": "LOSS", "minimize": true}], "strategy": {"nodes": [{"generator": "SOBOL", "num_trials": 4, "min_observed": 0}, {"generator": "TPE", "num_trials": null, "min_observed": 2}]}, "resources": {"partition": null, "memory_mb": null, "cpus": 1, "gpus": 0, "nodes": 1, "minutes": null, "account": null, "reservation": null, "qos": null, "constraint": null, "gres": null, "exclude": []}, "executor": "local", "num_parallel_jobs": 2, "max_eval": 4, "seed": 7, "worker_timeout_seconds": null, "time_limit_seconds": null, "max_failed_jobs": null, "retries": 1, "auto_exclude": true, "description": "a \u201cfirst\u201d search", "participant": null, "user_metadata": {}, "group": null, "timing": {"lease_renew_seconds": 5.0, "lease_expire_seconds": 30.0, "heartbeat_seconds": 15.0, "dead_seconds": 120.0, "spool_grace_seconds": 60.0, "claim_patience_seconds": 600.0, "report_patience_seconds": 60.0, "grace_seconds": 20.0, "slurm_limit_seconds": 60.0, "sacct_limit_seconds": 30.0, "connect_seconds": 10.0, "calls_per_minute": 20.0, "calls_burst": 40, "poll_min_seconds": 2.0, "poll_max_seconds": 60.0}}, "database": "postgresql+psycopg2://headway:***@127.0.0.1:25146/released", "run_dir": "@WORK@/runs/old/1"}', '2026-11-21 07:11:14.194995+00');
INSERT INTO public.event VALUES (2, 1, 'ask', NULL, '{"generation": 0, "generator": "SOBOL", "requested": 2, "trials": [0, 1], "points": [{"x": 0.30124185513705015, "n": 6, "kind": "a"}, {"x": 0.549255003221333, "n": 2, "kind": "b"}], "fallback_reason": null}', '2026-11-21 07:11:14.962961+00');
INSERT INTO public.event VALUES (3, 1, 'tell', 1, '{"trial_index": 0, "attempt": 1, "results": {"LOSS": 0.30124185513705015}, "sems": {}}', '2026-11-21 07:11:15.148765+00');
INSERT INTO public.event VALUES (4, 1, 'tell', 2, '{"trial_index": 1, "attempt": 2, "results": {"LOSS": 0.549255003221333}, "sems": {}}', '2026-11-21 07:11:15.157466+00');
INSERT INTO public.event VALUES (5, 1, 'ask', NULL, '{"generation": 1, "generator": "SOBOL", "requested": 2, "trials": [2, 3], "points": [{"x": 0.7731535704806447, "n": 7, "kind": "a"}, {"x": 0.017222526483237743, "n": 3, "kind": "b"}], "fallback_reason": null}', '2026-11-21 07:11:15.161185+00');
INSERT INTO public.event VALUES (6, 1, 'failure', 3, '{"attempt": 3, "failure": "PROGRAM", "message": "the program ended with exit code 1", "again": true}', '2026-11-21 07:11:15.298039+00');
INSERT INTO public.event VALUES (7, 1, 'tell', 4, '{"trial_index": 3, "attempt": 4, "results": {"LOSS": 0.017222526483237743}, "sems": {}}', '2026-11-21 07:11:15.34462+00');
INSERT INTO public.event VALUES (8, 1, 'failure', 3, '{"attempt": 5, "failure": "PROGRAM", "message": "the program ended with exit code 1", "again": false}', '2026-11-21 07:11:15.434141+00');
INSERT INTO public.event VALUES (9, 1, 'end', NULL, '{"status": "FINISHED", "reason": null}', '2026-11-21 07:11:15.440257+00');


--
-- Data for Name: experiment; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.experiment VALUES (1, '9f7885e7-3f4a-467d-bf58-bf21b83f1741', 'old', 1, NULL, 'a “first” search', NULL, 'null', '{"schema_version": 1, "name": "old", "program": "test %(n) -lt 7 && echo \"METRIC: loss=0.5 step=1\" && echo \"OO-Info: colour: blue\" && echo \"LOSS: %(x)\"", "working_folder": "@WORK@", "space": {"parameters": [{"name": "x", "value_type": "float", "kind": "range", "lower": 0.0, "upper": 1.0, "log_scale": false}, {"name": "n", "value_type": "int", "kind": "range", "lower": 1, "upper": 8, "log_scale": false}, {"name": "kind", "value_type": "str", "kind": "choice", "choices": ["a", "b"], "is_ordered": false}], "constraints": [{"text": "x + n <= 8", "coefficients": {"x": 1.0, "n": 1.0}, "bound": 8.0}]}, "objectives": [{"name": "LOSS", "minimize": true}], "strategy": {"nodes": [{"generator": "SOBOL", "num_trials": 4, "min_observed": 0}, {"generator": "TPE", "num_trials": null, "min_observed": 2}]}, "resources": {"partition": null, "memory_mb": null, "cpus": 1, "gpus": 0, "nodes": 1, "minutes": null, "account": null, "reservation": null, "qos": null, "constraint": null, "gres": null, "exclude": []}, "executor": "local", "num_parallel_jobs": 2, "max_eval": 4, "seed": 7, "worker_timeout_seconds": null, "time_limit_seconds": null, "max_failed_jobs": null, "retries": 1, "auto_exclude": true, "description": "a \u201cfirst\u201d search", "participant": null, "user_metadata": {}, "group": null, "timing": {"lease_renew_seconds": 5.0, "lease_expire_seconds": 30.0, "heartbeat_seconds": 15.0, "dead_seconds": 120.0, "spool_grace_seconds": 60.0, "claim_patience_seconds": 600.0, "report_patience_seconds": 60.0, "grace_seconds": 20.0, "slurm_limit_seconds": 60.0, "sacct_limit_seconds": 30.0, "connect_seconds": 10.0, "calls_per_minute": 20.0, "calls_burst": 40, "poll_min_seconds": 2.0, "poll_max_seconds": 60.0}}', 'FINISHED', NULL, 'root@login1', '@WORK@/runs/old/1', '2026-11-21 07:11:14.186242+00', '2026-11-21 07:11:15.439526+00');


--
-- Data for Name: generation; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.generation VALUES (1, 1, 0, 0, 'SOBOL', 2, 2, 0, 0.015223508999042679, 431379789, '{"seed": 431379789, "position": 2}', 'null', NULL, '2026-11-21 07:11:14.958417+00');
INSERT INTO public.generation VALUES (2, 1, 1, 0, 'SOBOL', 2, 2, 0, 0.0008862230006343452, 3553817977, '{"seed": 431379789, "position": 4}', 'null', NULL, '2026-11-21 07:11:15.159589+00');


--
-- Data for Name: generation_node; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.generation_node VALUES (1, 1, 0, 'SOBOL', 4, 0);
INSERT INTO public.generation_node VALUES (2, 1, 1, 'TPE', NULL, 2);


--
-- Data for Name: head_lease; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.head_lease VALUES (1, 'login1', '11111111-2222-4333-8444-555555555555', 0, 0, 1, '2026-11-21 07:11:15.441862+00');


--
-- Data for Name: metric; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.metric VALUES (1, 1, 1, 'loss', 0.5, 'TRAIN', 'STEP', 1, '2026-11-21 07:11:15.087875+00');
INSERT INTO public.metric VALUES (2, 2, 2, 'loss', 0.5, 'TRAIN', 'STEP', 1, '2026-11-21 07:11:15.10192+00');
INSERT INTO public.metric VALUES (3, 4, 4, 'loss', 0.5, 'TRAIN', 'STEP', 1, '2026-11-21 07:11:15.269501+00');


--
-- Data for Name: objective; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.objective VALUES (1, 1, 0, 'LOSS', true);


--
-- Data for Name: outcome; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.outcome VALUES (1, 1, 1, 0.30124185513705015, NULL, 'ATTEMPT', 1, NULL);
INSERT INTO public.outcome VALUES (2, 2, 1, 0.549255003221333, NULL, 'ATTEMPT', 2, NULL);
INSERT INTO public.outcome VALUES (3, 4, 1, 0.017222526483237743, NULL, 'ATTEMPT', 4, NULL);


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

INSERT INTO public.report VALUES (1, 1, 'START', 0, '{"claim": "69289b027f16f459", "host": "login1", "slurm_job_id": null, "pid": 1172, "started_at": "2026-11-21T07:11:15.002795+00:00"}', '2026-11-21 07:11:15.078422+00', '2026-11-21 07:11:15.138629+00', NULL);
INSERT INTO public.report VALUES (2, 2, 'START', 0, '{"claim": "b9a5d8ee58938563", "host": "login1", "slurm_job_id": null, "pid": 1173, "started_at": "2026-11-21T07:11:15.000533+00:00"}', '2026-11-21 07:11:15.094301+00', '2026-11-21 07:11:15.141022+00', NULL);
INSERT INTO public.report VALUES (3, 1, 'METRIC', 0, '{"metrics": [{"name": "loss", "value": 0.5, "split": "TRAIN", "level": "STEP", "step": 1, "at": "2026-11-21T07:11:15.087875+00:00"}]}', '2026-11-21 07:11:15.107514+00', '2026-11-21 07:11:15.14292+00', NULL);
INSERT INTO public.report VALUES (4, 2, 'METRIC', 0, '{"metrics": [{"name": "loss", "value": 0.5, "split": "TRAIN", "level": "STEP", "step": 1, "at": "2026-11-21T07:11:15.101920+00:00"}]}', '2026-11-21 07:11:15.113555+00', '2026-11-21 07:11:15.144004+00', NULL);
INSERT INTO public.report VALUES (5, 1, 'END', 0, '{"results": {"LOSS": 0.30124185513705015}, "sems": {}, "infos": {"colour": "blue"}, "artifacts": [], "problems": [], "cause": "EXIT", "exit_code": 0, "signal": null, "host": "login1", "slurm_job_id": null, "started_at": "2026-11-21T07:11:15.082242+00:00", "ended_at": "2026-11-21T07:11:15.110246+00:00", "measured": {"wall_seconds": 0.0037738720002380433, "user_seconds": 0.0013239999999999999, "system_seconds": 0.0, "peak_memory_bytes": 20897792}, "tail": "METRIC: loss=0.5 step=1\nOO-Info: colour: blue\nLOSS: 0.30124185513705015\n"}', '2026-11-21 07:11:15.124086+00', '2026-11-21 07:11:15.149399+00', NULL);
INSERT INTO public.report VALUES (6, 2, 'END', 0, '{"results": {"LOSS": 0.549255003221333}, "sems": {}, "infos": {"colour": "blue"}, "artifacts": [], "problems": [], "cause": "EXIT", "exit_code": 0, "signal": null, "host": "login1", "slurm_job_id": null, "started_at": "2026-11-21T07:11:15.098990+00:00", "ended_at": "2026-11-21T07:11:15.118335+00:00", "measured": {"wall_seconds": 0.01808191199961584, "user_seconds": 0.001174, "system_seconds": 0.0, "peak_memory_bytes": 20938752}, "tail": "METRIC: loss=0.5 step=1\nOO-Info: colour: blue\nLOSS: 0.549255003221333\n"}', '2026-11-21 07:11:15.137397+00', '2026-11-21 07:11:15.158042+00', NULL);
INSERT INTO public.report VALUES (7, 3, 'START', 0, '{"claim": "88e90cc47a300775", "host": "login1", "slurm_job_id": null, "pid": 1183, "started_at": "2026-11-21T07:11:15.188628+00:00"}', '2026-11-21 07:11:15.24713+00', '2026-11-21 07:11:15.290198+00', NULL);
INSERT INTO public.report VALUES (8, 4, 'START', 0, '{"claim": "2e05952c800b16f2", "host": "login1", "slurm_job_id": null, "pid": 1184, "started_at": "2026-11-21T07:11:15.202862+00:00"}', '2026-11-21 07:11:15.258726+00', '2026-11-21 07:11:15.294244+00', NULL);
INSERT INTO public.report VALUES (9, 3, 'END', 0, '{"results": {}, "sems": {}, "infos": {}, "artifacts": [], "problems": [], "cause": "EXIT", "exit_code": 1, "signal": null, "host": "login1", "slurm_job_id": null, "started_at": "2026-11-21T07:11:15.249156+00:00", "ended_at": "2026-11-21T07:11:15.254301+00:00", "measured": {"wall_seconds": 0.0037216050004644785, "user_seconds": 0.0011949999999999999, "system_seconds": 0.0, "peak_memory_bytes": 20852736}, "tail": ""}', '2026-11-21 07:11:15.272372+00', '2026-11-21 07:11:15.300128+00', NULL);
INSERT INTO public.report VALUES (10, 4, 'METRIC', 0, '{"metrics": [{"name": "loss", "value": 0.5, "split": "TRAIN", "level": "STEP", "step": 1, "at": "2026-11-21T07:11:15.269501+00:00"}]}', '2026-11-21 07:11:15.291435+00', '2026-11-21 07:11:15.339724+00', NULL);
INSERT INTO public.report VALUES (11, 4, 'END', 0, '{"results": {"LOSS": 0.017222526483237743}, "sems": {}, "infos": {"colour": "blue"}, "artifacts": [], "problems": [], "cause": "EXIT", "exit_code": 0, "signal": null, "host": "login1", "slurm_job_id": null, "started_at": "2026-11-21T07:11:15.262639+00:00", "ended_at": "2026-11-21T07:11:15.294266+00:00", "measured": {"wall_seconds": 0.005550017000132357, "user_seconds": 0.001175, "system_seconds": 0.0, "peak_memory_bytes": 20840448}, "tail": "METRIC: loss=0.5 step=1\nOO-Info: colour: blue\nLOSS: 0.017222526483237743\n"}', '2026-11-21 07:11:15.319839+00', '2026-11-21 07:11:15.345218+00', NULL);
INSERT INTO public.report VALUES (12, 5, 'START', 0, '{"claim": "73a5b5efe3c8f474", "host": "login1", "slurm_job_id": null, "pid": 1192, "started_at": "2026-11-21T07:11:15.329960+00:00"}', '2026-11-21 07:11:15.387226+00', '2026-11-21 07:11:15.427613+00', NULL);
INSERT INTO public.report VALUES (13, 5, 'END', 0, '{"results": {}, "sems": {}, "infos": {}, "artifacts": [], "problems": [], "cause": "EXIT", "exit_code": 1, "signal": null, "host": "login1", "slurm_job_id": null, "started_at": "2026-11-21T07:11:15.390214+00:00", "ended_at": "2026-11-21T07:11:15.399580+00:00", "measured": {"wall_seconds": 0.007752363000690821, "user_seconds": 0.001223, "system_seconds": 0.0, "peak_memory_bytes": 20684800}, "tail": ""}', '2026-11-21 07:11:15.41556+00', '2026-11-21 07:11:15.434734+00', NULL);


--
-- Data for Name: submission; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.submission VALUES (1, 1, '1dc48d8119149b03', 2, '{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": []}', 'ACCEPTED', 'local-1172-1321718', NULL, '2026-11-21 07:11:14.964782+00', '2026-11-21 07:11:14.994451+00');
INSERT INTO public.submission VALUES (2, 1, '5a4c18119eb96cad', 2, '{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": []}', 'ACCEPTED', 'local-1183-1321738', NULL, '2026-11-21 07:11:15.162536+00', '2026-11-21 07:11:15.180486+00');
INSERT INTO public.submission VALUES (3, 1, 'ec83de773598eff4', 1, '{"cpus": 1, "gpus": 0, "nodes": 1, "exclude": []}', 'ACCEPTED', 'local-1192-1321752', NULL, '2026-11-21 07:11:15.30386+00', '2026-11-21 07:11:15.314945+00');


--
-- Data for Name: trial; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.trial VALUES (1, 1, 0, 1, '{"x": 0.30124185513705015, "n": 6, "kind": "a"}', '8e48c9a96c1833f2eb347fba95364dec6411ac7be26c4dcba8a832bc7729cf54', 3, NULL, '2026-11-21 07:11:14.960537+00', '2026-11-21 07:11:14.967981+00', '2026-11-21 07:11:15.137256+00', '2026-11-21 07:11:15.147516+00');
INSERT INTO public.trial VALUES (2, 1, 1, 1, '{"x": 0.549255003221333, "n": 2, "kind": "b"}', '3cc5ed25878f1050b08dcf2f68c5c015cc6073004a40d0339a7e3e3f28e2e0ef', 3, NULL, '2026-11-21 07:11:14.960537+00', '2026-11-21 07:11:14.967981+00', '2026-11-21 07:11:15.140195+00', '2026-11-21 07:11:15.156746+00');
INSERT INTO public.trial VALUES (4, 1, 3, 2, '{"x": 0.017222526483237743, "n": 3, "kind": "b"}', '6c029aad777cf552a46b9b9af44b91d48b242003ec50c16910963f418df14fb2', 3, NULL, '2026-11-21 07:11:15.160286+00', '2026-11-21 07:11:15.164201+00', '2026-11-21 07:11:15.292732+00', '2026-11-21 07:11:15.343884+00');
INSERT INTO public.trial VALUES (3, 1, 2, 2, '{"x": 0.7731535704806447, "n": 7, "kind": "a"}', '1dadbf5fcf3a4689fc547ccfd1bf0645e95719831248d13f726c8847da085311', 2, 'the program ended with exit code 1', '2026-11-21 07:11:15.160286+00', '2026-11-21 07:11:15.164201+00', '2026-11-21 07:11:15.289294+00', '2026-11-21 07:11:15.428857+00');


--
-- Name: artifact_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.artifact_id_seq', 1, false);


--
-- Name: attempt_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.attempt_id_seq', 5, true);


--
-- Name: event_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.event_id_seq', 9, true);


--
-- Name: experiment_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.experiment_id_seq', 1, true);


--
-- Name: generation_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.generation_id_seq', 2, true);


--
-- Name: generation_node_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.generation_node_id_seq', 2, true);


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

SELECT pg_catalog.setval('public.report_id_seq', 13, true);


--
-- Name: submission_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.submission_id_seq', 3, true);


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
-- Name: event pk_event; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.event
    ADD CONSTRAINT pk_event PRIMARY KEY (id);


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
-- Name: attempt uq_attempt_submission_id_array_index; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.attempt
    ADD CONSTRAINT uq_attempt_submission_id_array_index UNIQUE (submission_id, array_index);


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
-- Name: ix_attempt_open; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_attempt_open ON public.attempt USING btree (trial_id) WHERE ((state)::text = ANY ((ARRAY['PLANNED'::character varying, 'SUBMITTED'::character varying, 'STARTED'::character varying])::text[]));


--
-- Name: ix_event_experiment_id_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_event_experiment_id_id ON public.event USING btree (experiment_id, id);


--
-- Name: ix_event_trial_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_event_trial_id ON public.event USING btree (trial_id);


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
-- Name: ix_outcome_objective_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_outcome_objective_id ON public.outcome USING btree (objective_id);


--
-- Name: ix_report_unconsumed; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_report_unconsumed ON public.report USING btree (id) WHERE (consumed_at IS NULL);


--
-- Name: ix_submission_experiment_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_submission_experiment_id ON public.submission USING btree (experiment_id);


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


